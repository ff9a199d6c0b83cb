// The clipboard, and buttons that copy to it.

/**
 * Puts a text on the clipboard.
 * @param {string} text
 * @returns {Promise<boolean>} whether the browser allowed it
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Copies, and has a button say so for a moment.
 * @param {HTMLButtonElement} button @param {string} text @param {{label: string, copied: string, notCopied: string}} words `label` is what it says else
 */
export async function copyBy(button, text, { label, copied, notCopied }) {
  button.textContent = (await copy(text)) ? copied : notCopied;
  setTimeout(() => (button.textContent = label), 1600);
}
