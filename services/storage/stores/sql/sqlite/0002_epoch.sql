-- Goes up by one with every opening; a writer whose number is no longer here has been replaced (decision 005).
CREATE TABLE epoch (
  number INTEGER NOT NULL
) STRICT;

INSERT INTO epoch VALUES (0);
