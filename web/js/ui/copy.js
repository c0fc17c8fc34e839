// Puts text on the clipboard, also where the clipboard interface is missing because the page came over plain HTTP.

/**
 * @param {string} text
 * @param {HTMLInputElement} field a field that shows the text and stays selected when nothing else works
 * @returns {Promise<boolean>}
 */
export async function copyText(text, field) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(field);
  }
}

/** @param {HTMLInputElement} field */
function copySelected(field) {
  field.focus();
  field.select();
  field.setSelectionRange(0, field.value.length);
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  }
}
