// Markdown in replies: what it becomes, that it cannot harm whatever it says, and what it costs.

import assert from 'node:assert/strict';
import process from 'node:process';
import { describe, test } from 'node:test';

import { open } from './harness.js';
import { around } from './host.js';
import { CANARY, payloads } from './payloads.js';

/** @typedef {Awaited<ReturnType<typeof open>>} Page */

/** What a reply may consist of, and which attributes it may have. @type {Record<string, string[]>} */
const ALLOWED = {
  a: ['dir', 'href', 'rel', 'target', 'title'],
  bdi: ['class'],
  button: ['type', 'class'],
  div: ['class', 'part', 'tabindex', 'role', 'aria-label'],
  ol: ['start'],
  pre: ['part', 'tabindex', 'role', 'aria-label'],
  span: ['class', 'dir', 'part', 'tabindex', 'role', 'aria-label'],
  ...Object.fromEntries(['p', 'h3', 'h4', 'h5', 'li', 'td', 'th', 'blockquote', 'code'].map((tag) => [tag, ['dir', 'class']])),
  ...Object.fromEntries(['ul', 'hr', 'strong', 'em', 's', 'br', 'table', 'thead', 'tbody', 'tr'].map((tag) => [tag, []])),
};

/** What a formula may consist of: elements that show, and attributes that say how large. */
const MATH = {
  elements: 'math mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none'.split(' '),
  attributes: 'class display form mathvariant scriptlevel columnspan rowspan accent accentunder displaystyle fence largeop movablelimits separator stretchy symmetric depth height linethickness lspace mathsize maxsize minsize rspace voffset width'.split(' '),
};

/** A text of all that Markdown has, about as models write it. */
const SAMPLE = `# A heading

Some *emphasis*, **strong _both_**, \`code\` and ~~struck~~ text, with a [link](https://example.org/a?b=c) and https://example.org/.
A second line & an entity: &amp; &copy; &#x263a;.

- one
- two
  - nested **deep**
- [x] done

3. three
4. four

> A quote
> goes on

| a | b |
|:--|--:|
| 1 | \`2\` |

\`\`\`js
const x = 1;

if (x < 2) alert(x);
\`\`\`

Money: $5 or $10, and a formula $a_1 \\cdot b_2$ or \\(x^2\\) beside *words*.
$$
\\begin{aligned}
x &= \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}
+ 1 \\\\
  &= 2
\\end{aligned}
$$

\\[ \\sum_{i=1}^n i \\]

---

Last words.
`;

/** A page with nothing on it but the renderer: no policy that would help it. @type {Page} */
let page;
const there = around({ webgpu: false }, async () => {
  page = await open(there.browser);
  await page.goto(`${there.site.url}as/blank/x`);
  await page.evaluate(async () => {
    const path = '/www/markdown/view.js';
    const { MarkdownView, prepare } = await import(path);
    await prepare();
    const box = document.createElement('div');
    document.body.append(box);
    /** @param {string[]} pieces */
    const show = (pieces) => {
      box.replaceChildren();
      const view = new MarkdownView(box);
      for (const piece of pieces) view.append(piece);
      view.finish();
      return box;
    };
    Object.assign(globalThis, { show, View: MarkdownView });
  });
});

/** The tree that a text becomes, as a line for each element. @param {string} text @param {number} [step] characters at once */
function tree(text, step = text.length) {
  return page.evaluate(
    ([text, step]) => {
      const pieces = [];
      for (let at = 0; at < text.length; at += step) pieces.push(text.slice(at, at + step));
      const box = /** @type {any} */ (globalThis).show(pieces);
      return box.innerHTML;
    },
    /** @type {const} */ ([text, step]),
  );
}

/** @param {number} first @param {number} last */
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Names of the elements that a text becomes. @param {string} text */
function tags(text) {
  return page.evaluate((text) => {
    const box = /** @type {any} */ (globalThis).show([text]);
    return [...box.querySelectorAll('*')].map((e) => e.localName).join(' ');
  }, text);
}

describe('what Markdown becomes', () => {
  for (const [text, expected] of /** @type {const} */ ([
    ['plain', 'p'],
    ['a\n\nb', 'p p'],
    ['# a\n## b\n### c\n#### d', 'h3 h3 h4 h5'],
    ['*a* **b** ~~c~~ `d`', 'p em strong s code'],
    ['- a\n  - b\n\n1. c', 'ul li ul li ol li'],
    ['> a', 'blockquote p'],
    ['| a |\n|---|\n| b |', 'div table thead tr th tbody tr td'],
    ['```\na\n```\nb', 'div div span button pre code p'],
    ['```\nnever closed', 'div div span button pre code'],
    ['---', 'hr'],
    ['[a](https://b.example/)', 'p a bdi'],
    ['https://b.example/', 'p a'],
    ['[a](javascript:b)', 'p'],
    ['![a](https://b.example/c.png)', 'p a bdi'],
    ['$x$', 'p math mi'],
    ['\\(x\\) and $5', 'p math mi'],
    ['$5 and $6', 'p'],
    ['a `$x$` b', 'p code'],
    ['$$x$$', 'p span math mi'],
    ['a\n$$\nx\n$$\nb', 'p p span math mi p'],
    ['$$\nx\n\ny\n$$', 'p p p'],
    ['\\[x\\]', 'p span math mi'],
    ['- $$x$$', 'ul li p span math mi'],
    ['$\\href{javascript:x}{y}$', 'p code'],
    ['$\\includegraphics{https://a.example/b.png}$', 'p code'],
    ['$\\begin{$', 'p code'],
    ['<b>a</b>', 'p'],
    ['<div>\n*a*\n</div>', 'p em'],
  ])) {
    test(JSON.stringify(text), async () => assert.equal(await tags(text), expected));
  }

  test('a link says where it leads, another alphabet in ASCII', async () => {
    const shown = await tree('[bank.example](https://b\u0430nk.example/x)');
    assert.match(shown, /\(https:\/\/xn--[\w-]+\.example\/x\)/);
    assert.match(shown, /rel="noopener noreferrer nofollow"/);
  });

  test('marks that turn or hide text stay in their block, and no alphabet passes for another in an address', async (t) => {
    // Overrides, embeddings, isolates and marks of direction; what has no width; tags; variation selectors.
    const marks = [...range(0x202a, 0x202e), ...range(0x2066, 0x2069), 0x200e, 0x200f, 0x061c, ...range(0x200b, 0x200d), 0x2060, 0xfeff, 0x00ad, 0x034f, 0x180e, 0x3164, ...range(0xfe00, 0xfe03), 0xe0001, ...range(0xe0041, 0xe0045)];
    const hosts = ['b\u0430nk', 'p\u0430yp\u0430l', '\u0430\u0440\u0440\u04cf\u0435', 'g\u043e\u043egle', 'ex\u0430mple', '\u4f8b\u3048', 'caf\u00e9', '\u0627\u062e\u062a\u0628\u0627\u0631', '\u05d1\u05d3\u05d9\u05e7\u05d4', 'fa\u00dfbender', '\u03b4\u03bf\u03ba\u03b9\u03bc\u03ae', 'xn--bnk-5cd'];
    for (const code of marks) {
      const mark = String.fromCodePoint(code);
      const text = `Be${mark}fore [la${mark}bel](https://b.example/x)\n\n- it${mark}em\n\n| ce${mark}ll |\n|---|\n| ce${mark}ll |\n\n\`co${mark}de\`\n\nAfter`;
      const loose = await page.evaluate((text) => {
        const box = /** @type {HTMLElement} */ (/** @type {any} */ (globalThis).show([text]));
        const turned = /** @type {Text[]} */ ([]);
        const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
        for (let node = walk.nextNode(); node; node = walk.nextNode()) {
          const block = /** @type {Element} */ (node.parentElement?.closest('[dir], bdi'));
          if (!block || !/isolate|plaintext/.test(getComputedStyle(block).unicodeBidi)) turned.push(/** @type {Text} */ (node));
        }
        const address = box.querySelector('bdi')?.textContent;
        return [...turned.map(({ data }) => data.trim()).filter(Boolean), ...(address === '(https://b.example/x)' ? [] : [address])];
      }, text);
      assert.deepEqual(loose, [], `U+${code.toString(16)}`);
    }
    for (const host of hosts) {
      const shown = await page.evaluate((host) => /** @type {any} */ (globalThis).show([`[bank](https://${host}.example/)`]).querySelector('bdi').textContent, host);
      assert.match(shown, /^\(https:\/\/[a-z\d-]+\.example\/\)$/, host);
    }
    t.diagnostic(`${marks.length} marks and ${hosts.length} hosts`);
  });

  test('the same tree comes out however the text was cut', async () => {
    const whole = await tree(SAMPLE);
    for (const step of [1, 2, 3, 7, 50]) assert.equal(await tree(SAMPLE, step), whole, `${step} characters at once`);
  });

  test('half-written emphasis, code and links show no markers', async () => {
    const shown = await page.evaluate(() => {
      return ['a **bo', 'a `co', 'a [li](https://x', 'a *', 'a\n-', '- a **b'].map((text) => {
        const box = document.createElement('div');
        const view = new /** @type {any} */ (globalThis).View(box);
        view.append(text);
        return box.textContent;
      });
    });
    assert.deepEqual(shown, ['a bo', 'a co', 'a li', 'a ', 'a', 'a b']);
  });

  test('code is copied without its fence', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await tree('```js\nlet a;\n\nlet b;\n```\n');
    await page.getByRole('button', { name: 'Copy' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'let a;\n\nlet b;');
  });
});

describe('colours of code', () => {
  /** Texts that have a colour, by kind, once all have that will. @param {string} text */
  const coloured = (text) =>
    page.evaluate(async (text) => {
      /** @type {any} */ (globalThis).show([text]);
      const all = () => [...CSS.highlights].flatMap(([kind, ranges]) => [...ranges].map((range) => `${kind.slice(8)} ${/** @type {Text} */ (range.startContainer).data.slice(range.startOffset, range.endOffset)}`));
      for (let before = '', still = 0; still < 8; before = String(all())) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        still = String(all()) === before ? still + 1 : 0;
      }
      return all().sort();
    }, text);

  test('are ranges of its text, in its own language, and no element', async () => {
    const found = await coloured('```js\nconst a = `x${b}`; // c\n```\n\n```python\ndef f(): return 1\n```\n\n```\nconst plain = 1;\n```\n');
    assert.deepEqual(found, ['comment // c', 'keyword const', 'keyword def', 'keyword return', 'number 1', 'string `', 'string `x', 'title f'].sort());
    assert.equal(await page.locator('code *').count(), 0);
  });

  test('are forgotten with it, and none are given to an unknown language', async () => {
    assert.deepEqual(await coloured('```tlhIngan\nconst a = 1;\n```\n\n```js\n42\n```\n'), ['number 42']);
  });

  test('of much code come without a long task', async (t) => {
    const measure = () => page.evaluate(async () => {
      const code = 'const value = call(1, "text", /re/g); // comment\n'.repeat(1000);
      /** @type {any} */ (globalThis).show([`\`\`\`js\n${code}\`\`\`\n`]);
      await new Promise((resolve) => setTimeout(resolve, 100)); // what showing it takes is measured below
      let longest = 0;
      let last = performance.now();
      const size = () => [...CSS.highlights.values()].reduce((sum, { size }) => sum + size, 0);
      for (const end = last + 10_000; size() < 6000 && last < end; last = performance.now()) {
        await new Promise((resolve) => setTimeout(resolve));
        longest = Math.max(longest, performance.now() - last);
      }
      return { longest, size: size() };
    });
    const { longest, size } = await settled(measure, ({ longest }) => longest <= 50);
    t.diagnostic(`${size} ranges, longest task ${longest.toFixed(0)} ms`);
    assert.ok(size >= 6000, `${size} ranges`);
    assert.ok(longest <= 200, `${longest} ms`); // the aim is 50, of a machine that does nothing else
  });
});

/** Cut in two at every place, with MOEBIUS_ALL=1: half a minute. */
test('hostile text: no script runs, nothing unexpected is made, nobody is asked', async (t) => {
  const list = payloads();
  t.diagnostic(`${list.length} texts`);
  assert.ok(list.length >= 500, `${list.length} payloads`);
  /** @type {string[]} */
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  const complaints = await page.evaluate(
    ([list, allowed, math, every]) => {
      let runs = 0;
      Object.assign(globalThis, { struck: () => (runs += 1), alert: () => (runs += 1) });
      const { show } = /** @type {any} */ (globalThis);
      /** @type {string[]} */
      const wrong = [];
      let seed = 1;
      const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
      for (const text of list) {
        const letters = [...text];
        const middle = 1 + Math.floor(random() * (letters.length - 1));
        const pieces = [];
        for (let at = 0; at < letters.length; ) pieces.push(letters.slice(at, (at += 1 + Math.floor(random() * 6))).join(''));
        const cut = (/** @type {number} */ at) => [letters.slice(0, at).join(''), letters.slice(at).join('')];
        const cuts = every ? letters.slice(1).map((_, i) => cut(i + 1)) : [cut(middle)];
        const splits = [[text], letters, pieces, ...cuts];
        const trees = new Set();
        for (const split of splits) {
          const box = show(split);
          for (const element of box.querySelectorAll('*')) {
            const names = element.getAttributeNames();
            const { localName, namespaceURI } = element;
            const formula = namespaceURI === 'http://www.w3.org/1998/Math/MathML' && math.elements.includes(localName);
            const known = formula || (Object.hasOwn(allowed, localName) && namespaceURI === 'http://www.w3.org/1999/xhtml');
            if (!known || names.some((/** @type {string} */ name) => !(formula ? math.attributes : allowed[localName]).includes(name))) {
              wrong.push(`${text}: ${element.cloneNode().outerHTML}`);
            }
            if (element.localName === 'a' && !/^https?:\/\/[^@]*$/.test(element.getAttribute('href').split(/(?<!\/)\/(?!\/)/)[0])) {
              wrong.push(`${text}: ${element.href}`);
            }
            element.dispatchEvent(new Event('error'));
            element.dispatchEvent(new Event('load'));
          }
          trees.add(box.innerHTML);
        }
        if (trees.size > 1) wrong.push(`${text}: ${[...trees].join('\n   or ')}`);
        if (runs > 0) wrong.push(`${text}: a script ran`);
        runs = 0;
      }
      return wrong;
    },
    /** @type {const} */ ([list, ALLOWED, MATH, process.env.MOEBIUS_ALL === '1']),
  );
  assert.deepEqual(complaints.slice(0, 10), []);
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 200)));
  assert.deepEqual(requests.filter((url) => url.includes(CANARY) || !url.startsWith('data:')), []);
});

/**
 * Measures until it is good, three times at most: a machine that is busy with something else is slow now and then, code that
 * is slow always is.
 * @template T @param {() => Promise<T>} measure @param {(measured: T) => boolean} good @returns {Promise<T>} the last one
 */
async function settled(measure, good) {
  let measured = await measure();
  for (let tries = 1; tries < 3 && !good(measured); tries += 1) measured = await measure();
  return measured;
}

describe('what it costs', () => {
  test('a token of a 100 KB answer does not take what the answer takes', async (t) => {
    const measure = () => page.evaluate((sample) => {
      const block = `${sample}\n${'A paragraph of some length, with **bold** words and `code` in it. '.repeat(12)}\n\n`;
      const code = `\`\`\`py\n${'    return [x for x in range(100) if x % 3 == 0]\n'.repeat(120)}\`\`\`\n\n`;
      const list = `${Array.from({ length: 120 }, (_, i) => `${i + 1}. an item with a **word** in bold`).join('\n')}\n\n`;
      const text = (block.repeat(6) + code + list).repeat(8).slice(0, 100_000);
      const box = document.createElement('div');
      document.body.append(box);
      const view = new /** @type {any} */ (globalThis).View(box);
      /** @type {number[]} */
      const times = [];
      const start = performance.now();
      for (let at = 0; at < text.length; at += 4) {
        const before = performance.now();
        view.append(text.slice(at, at + 4));
        if (at % 32 === 0) void box.offsetHeight; // a browser lays out once a frame, not once a token
        times.push(performance.now() - before);
      }
      const total = performance.now() - start;
      times.sort((a, b) => a - b);
      box.remove();
      const at = (/** @type {number} */ share) => times[Math.floor((times.length - 1) * share)];
      return { p50: at(0.5), p99: at(0.99), most: at(1), total };
    }, SAMPLE);
    const { p50, p99, most, total } = await settled(measure, ({ p99 }) => p99 <= 8);
    t.diagnostic(`100 KB in 4-character tokens: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, most ${most.toFixed(1)} ms, all ${total.toFixed(0)} ms`);
    // The aim is 8 ms; a machine busy with something else takes several times that, and looking at all of the text again far more.
    assert.ok(p99 <= 60, `p99 ${p99} ms`);
  });

  for (const [name, piece] of Object.entries({
    brackets: '[', images: '![', quotes: '>', 'spaced quotes': '> ', numbers: '1. ', stars: '*a ', 'strong stars': '**a ', underscores: '_a ',
    ticks: '`a``b', angles: '<', links: '[a](', lines: 'a\n', cells: '|a', letters: 'a', strikes: '~~a ', bullets: '- a\n  ', fences: '```\n', addresses: 'http://a.', backslashes: '\\', deep: '- ',
    dollars: '$', formulas: '$a$', opened: '\\(', displayed: '$$a ', displays: '$$\n', groups: '${', macros: '$\\def\\a{\\a\\a}\\a$ ',
    rows: '- [a](b\n', code: '```\n[*`', escapes: '&#',
  })) {
    test(`${name} without end cost what they are long`, async (t) => {
      const measure = () => page.evaluate((piece) => {
        const { show } = /** @type {any} */ (globalThis);
        const cost = (/** @type {number} */ length) => {
          const text = piece.repeat(Math.ceil(length / piece.length));
          const start = performance.now();
          show([text]);
          return performance.now() - start;
        };
        cost(5_000);
        // The best of three: other work on the machine only ever adds.
        const best = (/** @type {number} */ length) => Math.min(cost(length), cost(length), cost(length));
        return [best(10_000), best(20_000)];
      }, piece);
      const linear = (/** @type {number[]} */ [less, more]) => more <= 2.3 * less + 50;
      const times = await settled(measure, linear);
      t.diagnostic(`10 KB ${times[0].toFixed(0)} ms, 20 KB ${times[1].toFixed(0)} ms`);
      assert.ok(times[1] <= 3 * times[0] + 300, `${times.map((ms) => ms.toFixed(0)).join(' then ')} ms`);
    });
  }
});
