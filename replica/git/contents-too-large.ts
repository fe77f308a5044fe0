/** What `contents` rejects with when the objects are larger than it was told to expect. */
export class ContentsTooLargeError extends Error {
  constructor(maxBytes: number) {
    super(`the objects have more than the ${maxBytes} bytes that are read into memory`);
    this.name = 'ContentsTooLargeError';
  }
}
