// The window's title: the room, and how much is unread in it.

/**
 * @param {number} unread
 * @param {string} room
 */
export function unreadTitle(unread, room) {
  const count = unread > 0 ? `(${unread > 99 ? "99+" : unread}) ` : "";
  const title = room ? `${count}${room} · E-Goat` : "E-Goat";
  if (document.title !== title) document.title = title;
}
