// A report of a visit as text: what ran where, how fast, and what its experts did. In English, since it is for those who help.

import { percent, rows } from './map.js';

/** @typedef {import('../protocol.js').Info} Info */
/** @typedef {import('../protocol.js').ExpertMap} Experts */

/** @param {Info} info @param {Experts | null} experts @param {import('./record.js').Gathered} record */
export async function report(info, experts, record) {
  const { device, spec } = info;
  const version = (await caches?.keys().catch(() => []))?.find((name) => name.startsWith('moebius-files-'))?.slice('moebius-files-'.length) ?? 'not kept';
  const { timings } = record;
  const lines = [
    '# Moebius report',
    `- page: ${version}; ${navigator.userAgent}`,
    `- cores: ${navigator.hardwareConcurrency}; isolated: ${crossOriginIsolated}`,
    `- model: ${info.model}; ${spec.family}, ${spec.layers} layers, ${spec.experts} experts, ${spec.active} active; context ${info.context}`,
    `- device: ${device.kind} ${device.name}${device.why ? `; ${device.why}` : ''}${device.fallbacks.map((one) => `; ${one}`).join('')}`,
    `- weights on the device: ${info.bytes} bytes`,
  ];
  if (timings) {
    lines.push(`- prompt: ${timings.prompt_n} tokens, ${timings.prompt_per_second.toFixed(1)}/s; reply: ${timings.predicted_n} tokens, ${timings.predicted_per_second.toFixed(1)}/s`);
    lines.push(`- first token after ${record.first.toFixed(0)} ms`);
  }
  if (record.prompts.length > 0) lines.push(`- prompts: ${record.prompts.map(({ tokens, perSecond }) => `${tokens} at ${perSecond.toFixed(0)}/s`).join(', ')}`);
  if (experts && experts.layers > 0) {
    lines.push(`- experts found on the device: ${experts.hits}; not found: ${experts.misses}`, '', '| layer | evenness | busiest | unused | on the device | in the store | elsewhere |', '|--:|--:|--:|--:|--:|--:|--:|');
    for (const { layer, even, busiest, share, unused, here, stored, elsewhere } of rows(experts)) {
      lines.push(`| ${[layer + 1, even === null ? '–' : percent(even), `${busiest} (${percent(share)})`, unused, here, stored, elsewhere].join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}
