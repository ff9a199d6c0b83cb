// Where a model is that a person named, and which hosts it takes to get there.

/** The public hub, and where it keeps large files. */
export const HUB = 'https://huggingface.co';
const STORAGE = ['https://*.huggingface.co', 'https://hf.co', 'https://*.hf.co'];
/** Hosts that hand over to others. @type {Record<string, string[]>} */
const OTHERS = { 'github.com': ['https://*.githubusercontent.com'] };

/** @typedef {{model: string, name: string, hosts: string[], own: boolean, id?: string, page?: string}} Where `model` as createEngine takes it; `own`: on this page's host */

/**
 * What somebody wrote or pasted: `owner/name`, an address of the hub, `hf:…`, a URL of a folder or a .gguf.
 * @param {string} text
 * @param {string} [hub] another hub
 * @returns {Where | null} null where it is none of these
 */
export function where(text, hub = HUB) {
  const said = text.trim();
  if (/^hf:/i.test(said)) return repository(said.slice(3), hub);
  if (/^[\w.-]+\/[\w.-]+(:[\w.-]+)?(@[\w./-]+)?$/.test(said) && !said.startsWith('.')) return repository(said, hub);
  const url = parse(said);
  if (!url) return null;
  const onHub = url.origin === hub || url.hostname === 'hf.co' ? /^\/([\w.-]+\/[\w.-]+)(?:\/(?:tree|blob|resolve)\/([^/]+)(?:\/(.+))?)?\/?$/.exec(url.pathname) : null;
  if (onHub) {
    const [, id, revision, path] = onHub;
    const file = path && /\.gguf$/i.test(path) ? `/${decodeURIComponent(path)}` : '';
    return repository(`${id}${file}${revision && revision !== 'main' ? `@${revision}` : ''}`, hub);
  }
  const own = url.origin === location.origin;
  if (!own && url.protocol !== 'https:' && !local(url.hostname)) return null;
  const name = decodeURIComponent(url.pathname.split('/').filter(Boolean).at(-1) ?? url.hostname);
  return { model: own ? said : url.href, name, hosts: own ? [] : around(url), own };
}

/** @param {string} said after `hf:` @param {string} hub @returns {Where | null} */
function repository(said, hub) {
  const id = /^([\w.-]+\/[\w.-]+)/.exec(said)?.[1];
  if (!id) return null;
  const bare = id.replace(/:.*/, '');
  const hosts = hub === HUB ? [HUB, ...STORAGE] : around(new URL(hub));
  return { model: `hf:${said}`, name: bare.split('/')[1], hosts, own: false, id: bare, page: `${hub}/${bare}` };
}

/** A host and what is below it: storage is often there. @param {URL} url */
function around({ protocol, hostname, host }) {
  if (!/^[\w.:[\]-]+$/.test(host)) return [];
  // On this machine a port is as good as another.
  if (local(hostname)) return [`${protocol}//${hostname}:*`];
  const below = /^[\d.]+$|:/.test(hostname) ? [] : [`${protocol}//*.${host}`];
  return [`${protocol}//${host}`, ...below, ...(OTHERS[hostname] ?? [])];
}

/** @param {string} hostname */
function local(hostname) {
  return hostname === 'localhost' || hostname === '127.0.0.1';
}

/** @param {string} text */
function parse(text) {
  if (text === '' || (/\s/.test(text) && !text.includes('/'))) return null;
  try {
    const url = new URL(text, document.baseURI);
    return /^https?:$/.test(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** How a host is told to people. @param {string} source of a policy */
export function told(source) {
  return source.replace(/^\w+:\/\//, '').replace(/:\*$/, '');
}
