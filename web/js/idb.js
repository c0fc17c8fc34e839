// IndexedDB as promises: open a database with one object store, do one thing in a transaction of its own.

/**
 * @param {IDBFactory} factory
 * @param {string} name
 * @param {(database: IDBDatabase) => void} make makes the store of a new database
 * @returns {Promise<IDBDatabase>}
 */
export function openDatabase(factory, name, make) {
  return new Promise((resolve, reject) => {
    const asked = factory.open(name, 1);
    asked.onupgradeneeded = () => make(asked.result);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
    asked.onblocked = () => reject(new Error("another tab holds the store"));
  });
}

/**
 * @template T
 * @param {IDBDatabase} database
 * @param {string} store
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} act
 * @returns {Promise<T>} once the transaction is complete, and on disk if it wrote
 */
export function within(database, store, mode, act) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(store, mode, { durability: "strict" });
    const asked = act(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(asked.result);
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

/** How long a browser may take to answer; some never do when storage is refused. */
const ANSWER_MS = 1_500;

/**
 * The work, or a rejection when the store is silent.
 * @template T
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
export function soon(work) {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("the store did not answer")), ANSWER_MS);
    work.then(resolve, reject);
  });
}
