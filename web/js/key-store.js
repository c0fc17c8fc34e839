// The one place of this browser profile where its key pair lies: an IndexedDB store with a single row.

const DATABASE = "egoat";
const STORE = "identity";
const ROW = "key";

/**
 * @param {IDBFactory} factory
 * @returns {Promise<IDBDatabase>}
 */
function open(factory) {
  return new Promise((resolve, reject) => {
    const asked = factory.open(DATABASE, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
    asked.onblocked = () => reject(new Error("another tab holds the store"));
  });
}

/**
 * @template T
 * @param {IDBDatabase} database
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} act
 * @returns {Promise<T>} once the transaction is complete
 */
function within(database, mode, act) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, mode);
    const asked = act(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(asked.result);
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

/**
 * The key pair of this profile, if it has one.
 * @param {IDBFactory} factory
 * @returns {Promise<CryptoKeyPair | null>}
 */
export async function readKey(factory) {
  const database = await open(factory);
  try {
    return (await within(database, "readonly", (store) => store.get(ROW))) ?? null;
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
    await within(database, "readwrite", (store) => store.add(pair, ROW)).catch(() => undefined);
    return (await within(database, "readonly", (store) => store.get(ROW))) ?? null;
  } finally {
    database.close();
  }
}
