// The page's own dialogs: settings of a chat, shortcuts, requests. They come beside the model, and their looks before they are shown.

import { RequestsDialog } from './requests.js';
import { SettingsDialog, shortcutsDialog } from './settings.js';
import { looks } from './looks.js';

/** @param {import('../ui/requests.js').Requests} asked */
export async function sheets(asked) {
  await looks('sheets/sheets.css');
  const all = { settings: new SettingsDialog(), shortcuts: shortcutsDialog(), requests: new RequestsDialog(asked) };
  document.body.append(all.settings.node, all.shortcuts, all.requests.node);
  return all;
}
