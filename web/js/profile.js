// What this browser profile remembers beside its key: name, theme, drafts, rooms; all of it may be refused.

/** How many own message ids and rooms are remembered. */
const IDS = 300;
const ROOMS = 6;

/** @param {string} key */
function read(key) {
  try {
    return localStorage.getItem(`egoat.${key}`);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {string} value empty forgets
 */
function write(key, value) {
  try {
    if (value) localStorage.setItem(`egoat.${key}`, value);
    else localStorage.removeItem(`egoat.${key}`);
  } catch {
    // A browser that refuses storage still chats; it only forgets.
  }
}

/**
 * @param {string} key
 * @returns {string[]}
 */
function readList(key) {
  try {
    const list = JSON.parse(read(key) ?? "[]");
    return Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
  } catch {
    return [];
  }
}

export const readName = () => read("name") ?? "";

/** @param {string} name */
export const keepName = (name) => write("name", name);

export const readTheme = () => read("theme") ?? "system";

/** @param {string} theme */
export const keepTheme = (theme) => write("theme", theme === "system" ? "" : theme);

/** Whether others are told what was received and read here. */
export const readShares = () => read("receipts") !== "off";

/** @param {boolean} on */
export const keepShares = (on) => write("receipts", on ? "" : "off");

export const readStrategy = () => read("strategy") ?? "auto";

/** @param {string} strategy */
export const keepStrategy = (strategy) => write("strategy", strategy === "auto" ? "" : strategy);

/** @param {string} room */
export const readDraft = (room) => read(`draft.${room}`) ?? "";

/**
 * @param {string} room
 * @param {string} text
 */
export const keepDraft = (room, text) => write(`draft.${room}`, text);

/** @param {string} room how far it has been read: a cursor, or empty */
export const readMark = (room) => read(`read.${room}`) ?? "";

/**
 * @param {string} room
 * @param {string} cursor
 */
export const keepMark = (room, cursor) => write(`read.${room}`, cursor);

/** @param {string} room ids of messages sent from here, by which a guest knows its own after a reload */
export const readOwn = (room) => new Set(readList(`own.${room}`));

/**
 * @param {string} room
 * @param {ReadonlySet<string>} ids
 */
export const keepOwn = (room, ids) => write(`own.${room}`, JSON.stringify([...ids].slice(-IDS)));

export const readRooms = () => readList("rooms");

/** @param {string} room opened just now */
export const keepRoom = (room) =>
  write("rooms", JSON.stringify([room, ...readRooms().filter((other) => other !== room)].slice(0, ROOMS)));

/** @param {string} room */
export const forgetRoom = (room) => {
  write("rooms", JSON.stringify(readRooms().filter((other) => other !== room)));
  for (const key of ["draft", "read", "own"]) write(`${key}.${room}`, "");
};
