/** How a node names itself to git clients. */
export const AGENT = 'trivet/0.1.0';
