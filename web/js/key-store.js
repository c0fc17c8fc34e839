// The one place of this browser profile where its key pair lies: an IndexedDB store with a single row.

import { openDatabase, within } from "./idb.js";

const STORE = "identity";
const ROW = "key";

/** @param {IDBFactory} factory */
const open = (factory) => openDatabase(factory, "egoat", (database) => database.createObjectStore(STORE));

/**
 * The key pair of this profile, if it has one.
 * @param {IDBFactory} factory
 * @returns {Promise<CryptoKeyPair | null>}
 */
export async function readKey(factory) {
  const database = await open(factory);
  try {
    return (await within(database, STORE, "readonly", (store) => store.get(ROW))) ?? null;
  } finally {
    database.close();
  }
}

/**
 * Stores the pair unless another tab was first, and reads back what is there.
 * @param {IDBFactory} factory
 * @param {CryptoKeyPair} pair
 * @returns {Promise<CryptoKeyPair | null>}
 */
export async function keepKey(factory, pair) {
  const database = await open(factory);
  try {
    await within(database, STORE, "readwrite", (store) => store.add(pair, ROW)).catch(() => undefined);
    return (await within(database, STORE, "readonly", (store) => store.get(ROW))) ?? null;
  } finally {
    database.close();
  }
}
