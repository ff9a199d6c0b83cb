// Every text of the page and the element, in one place.

export const TEXT = Object.freeze({
  copy: 'Copy',
  copied: 'Copied',
  notCopied: 'Not copied',
  code: 'Code',
  plainCode: 'text',
  image: 'Image',
  notFetched: 'not fetched',
  table: 'Table',
});
