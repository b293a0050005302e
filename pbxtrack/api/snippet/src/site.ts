/** What the server wrote into the file, and what the page wrote on the tag. */

/** A telephone number in digits: country code, trunk prefix (8 in Russia, 0 in Germany), national number. */
export type Parts = [country: string, trunk: string, national: string];

/** Replaced by the server with JSON. */
declare const __PBXTRACK_SITE__: [key: string, server: string, numbers: Parts[], email: string];

export const [key, server, numbers, email] = __PBXTRACK_SITE__;

// There is none in a bundle that runs later.
const { src, dataset } = (document.currentScript || { dataset: {} }) as HTMLScriptElement;

/** The options of the tag: `data-NAME`. */
export const options = dataset;

/** Where the API is: where the file came from. */
export const api = (/(.+)\/s\//.exec(src) || ["", server])[1] + "/api/v1/leases";
