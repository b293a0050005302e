/** What the server wrote into the file, and what the page wrote on the tag. */

/** A telephone number in digits: country code, trunk prefix (8 in Russia, 0 in Germany), national number. */
export type Parts = [country: string, trunk: string, national: string];

/** Replaced by the server with JSON. */
declare const __PBXTRACK_SITE__: [key: string, server: string, numbers: Parts[], email: string];

export const [key, server, numbers, email] = __PBXTRACK_SITE__;

// Asked for in a way that an element with this name cannot answer. There is none in a bundle that runs later.
// The options of the tag are `data-NAME`.
export const { src, dataset: options = {} } = (Reflect.get(Document.prototype, "currentScript", document) ||
  {}) as HTMLScriptElement;

/** Where the API is: where the file came from. */
export const api = (/.+(?=\/s\/)/.exec(src) || server) + "/api/v1/leases";
