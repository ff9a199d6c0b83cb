// A chat page as specs drive it: which model, asking, waiting, and slowing it down.

import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';

import { FIXTURES } from './fixtures.js';

/** @typedef {import('../../www/element.js').MoebiusChat} MoebiusChat */
/** @typedef {import('playwright-core').Page} Page */

/** A fixture with a chat template: it babbles, but it babbles through every part. */
export const FIXTURE = `${FIXTURES}deepseek_v3_lite/`;

/** Software WebGPU takes minutes to make its pipelines on a busy machine. */
export const PATIENCE = 600_000;

/** @param {Page} page @param {string} state */
export function reaches(page, state) {
  return page.waitForFunction(
    (state) => /** @type {MoebiusChat | null} */ (document.querySelector('moebius-chat'))?.state === state,
    state,
    { timeout: PATIENCE },
  );
}

/** The worker that the model is in; others load and colour. @param {Page} page */
export async function engineWorker(page) {
  for (const worker of page.workers()) if ((await worker.evaluate('self.name')) === 'moebius') return worker;
  throw new Error('no worker has the engine');
}

/** Puts a pause between tokens: a tiny model is done before anybody can press Stop. @param {Page} page */
export async function slowly(page, ms = 100) {
  return (await engineWorker(page)).evaluate((ms) => {
    const { postMessage: post } = MessagePort.prototype;
    const { now } = Performance.prototype;
    // Others have a turn when it is time, which it always is on a clock that goes ahead by as much whenever it is looked at.
    let ahead = 0;
    Performance.prototype.now = function () {
      return now.call(this) + (ahead += 10);
    };
    MessagePort.prototype.postMessage = function (/** @type {any} */ message) {
      setTimeout(() => post.call(this, message), ms);
    };
  }, ms);
}

/** @param {Page} page @param {string} text */
export async function ask(page, text) {
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.keyboard.press('Enter');
}

/** Text of the replies. @param {Page} page */
export function replies(page) {
  return page.locator('article.assistant .body').allTextContents();
}

/** Bounds every reply, so that a babbling fixture ends. @param {Page} page @param {object} generation */
export function bounded(page, generation) {
  return page.evaluate((generation) => {
    const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
    chat.generation = generation;
  }, generation);
}

/** Texts of the questions. @param {Page} page */
export function questions(page) {
  return page.locator('article.user .body').allTextContents();
}

/**
 * What a page comes to show: what changed in a conversation is shown when it is kept.
 * @template T @param {Page} page @param {(page: Page) => Promise<T>} read @param {T} expected
 */
export async function shows(page, read, expected) {
  const end = Date.now() + 10_000;
  while (!isDeepStrictEqual(await read(page), expected) && Date.now() < end) await page.waitForTimeout(10);
  assert.deepEqual(await read(page), expected);
}

/** Presses a button of a message. @param {Page} page @param {string} name @param {'user' | 'assistant'} side @param {number} [index] the last unless told */
export async function press(page, name, side, index = -1) {
  const article = page.locator(`article.${side}`).nth(index);
  await article.hover();
  await article.getByRole('button', { name }).click();
}

/** What a page makes of the chat. @template T @param {Page} page @param {(chat: MoebiusChat) => T} look @returns {Promise<T>} */
export function chat(page, look) {
  return page.evaluate(`(${look})(document.querySelector('moebius-chat'))`);
}
