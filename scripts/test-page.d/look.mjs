// Looks at a page in Chromium as people do, and says what is wrong with it: over the DevTools protocol, through the two
// pipes that --remote-debugging-pipe opens, so that no port is open and the browser ends with us.
//
// node look.mjs CHROMIUM AXE.js PROFILE PAGE.html [SHOTS] [PICTURE.svg...]

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const [chromium, axe, profile, page, shots, ...pictures] = process.argv.slice(2);
const LONGEST = 5 * 60_000; // axe reads every word of a long page
const PHONE = 360;
const faults = [];

function check(what, fine, more = "") {
  console.log(`${fine ? "ok" : "FAIL"}: ${what}${!fine && more ? `\n  ${more}` : ""}`);
  if (!fine) faults.push(what);
}

// --- The browser ---

const flags = ["--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
  "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  `--user-data-dir=${profile}`];
// Chromium's sandbox is not for root; the page is our own.
if (process.getuid() === 0) flags.push("--no-sandbox");
mkdirSync(profile, { recursive: true });
const browser = spawn(chromium, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const [to, from] = [browser.stdio[3], browser.stdio[4]];
const waiting = new Map();
let listeners = [];
let last = 0;
let rest = Buffer.alloc(0);
from.on("data", (bytes) => {
  rest = Buffer.concat([rest, bytes]);
  for (let end; (end = rest.indexOf(0)) >= 0; rest = rest.subarray(end + 1)) {
    const message = JSON.parse(rest.subarray(0, end));
    const answer = waiting.get(message.id);
    waiting.delete(message.id);
    if (answer) (message.error ? answer.reject(new Error(message.error.message)) : answer.resolve(message.result));
    else listeners.forEach((listener) => listener(message.method, message.params));
  }
});
browser.on("exit", (code, signal) => {
  if (waiting.size === 0) return;
  console.log(`FAIL: Chromium ended: ${signal ?? code}`);
  process.exit(1);
});
setTimeout(() => {
  console.log("FAIL: no answer for too long");
  browser.kill("SIGKILL");
  process.exit(1);
}, 2 * LONGEST).unref();

function call(method, params = {}, sessionId) {
  const id = ++last;
  to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

async function open() {
  const { targetId } = await call("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
  const tab = (method, params) => call(method, params, sessionId);
  for (const domain of ["Page", "Runtime", "Log", "DOM"]) await tab(`${domain}.enable`);
  return tab;
}

async function visit(tab, file) {
  const said = [];
  const loaded = new Promise((resolve) => {
    listeners = [(method, params) => {
      if (method === "Page.loadEventFired") resolve();
      if (method === "Log.entryAdded" && params.entry.level !== "verbose") said.push(params.entry.text);
      if (method === "Runtime.consoleAPICalled") said.push(params.args.map((it) => it.value).join(" "));
      if (method === "Runtime.exceptionThrown") said.push(params.exceptionDetails.text);
    }];
  });
  await tab("Page.navigate", { url: pathToFileURL(file).href });
  await loaded;
  return said;
}

async function ask(tab, expression) {
  const answer = await tab("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true, timeout: LONGEST });
  if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception?.description);
  return answer.result.value;
}

async function look(tab, scheme, width) {
  await tab("Emulation.setEmulatedMedia", { media: "screen", features: [{ name: "prefers-color-scheme", value: scheme }] });
  await tab("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false });
}

async function shoot(tab, name) {
  const { data } = await tab("Page.captureScreenshot", { format: "png" });
  if (shots) writeFileSync(join(shots, `${name}.png`), Buffer.from(data, "base64"));
  return data;
}

// --- What is looked at ---

// All that is folded is looked at, too.
const UNFOLD = `document.querySelectorAll("details").forEach((it) => { it.open = true; })`;
// Elements that reach past the window, and those that would have to be scrolled to be seen whole.
const OVERFLOW = `(() => {
  const wide = [...document.querySelectorAll("body *")].filter((it) => it.getBoundingClientRect().right > innerWidth + 1 ||
    (it.scrollWidth > it.clientWidth + 1 && getComputedStyle(it).overflowX === "auto"));
  return { by: document.documentElement.scrollWidth - innerWidth,
    first: wide.slice(0, 3).map((it) => it.tagName + " " + it.textContent.slice(0, 60)).join("; ") };
})()`;
// Words in a picture that reach past its edge.
const CUT = `[...document.querySelectorAll("svg.picture text")].filter((it) => {
  const [word, whole] = [it.getBoundingClientRect(), it.ownerSVGElement.getBoundingClientRect()];
  return word.width > 0 && (word.left < whole.left - 1 || word.right > whole.right + 1 || word.bottom > whole.bottom + 1);
}).map((it) => it.textContent).slice(0, 5).join("; ")`;
// Links to places that are not on the page.
const DEAD = `[...document.querySelectorAll("a[href^='#']")].filter((it) => !document.getElementById(it.hash.slice(1)))
  .map((it) => it.hash).slice(0, 5).join("; ")`;
// Lessons that the contents do not lead to.
const LEFT_OUT = `[...document.querySelectorAll("section.demo")].filter((it) =>
  !document.querySelector("nav a[href='#" + it.getAttribute("aria-labelledby") + "']")).length`;
// How many claims the contents count, and how many rows there are.
const ROWS = `[[...document.querySelectorAll("nav .badge")].reduce((sum, it) => sum + (parseInt(it.textContent.slice(2)) || 0), 0),
  document.querySelectorAll("section.demo details[id] > summary").length]`;
// Marks of Markdown in what is read as words.
const BACKTICKS = `(() => {
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (words.nextNode()) {
    const { data, parentElement } = words.currentNode;
    if (data.includes("\`") && !parentElement.closest("code, pre, script, svg")) found.push(data.slice(0, 60));
  }
  return found.slice(0, 5).join("; ");
})()`;
// Presses the first and the last button beside commands, and reads the clipboard: what is there after all, and ought to be.
const COPY = `(async () => {
  const blocks = [...document.querySelectorAll("pre[data-step]")];
  const found = [];
  for (const block of blocks.length ? [blocks[0], blocks.at(-1)] : []) {
    const button = block.parentElement.querySelector("button");
    await navigator.clipboard.writeText("");
    button?.click();
    const copied = await navigator.clipboard.readText();
    if (copied === "" || copied !== [...block.querySelectorAll("code")].map((it) => it.textContent).join("").trim()) found.push(copied + " for " + block.textContent);
    if (!/commands of step \\d+/.test(button?.textContent)) found.push("a button without a name");
  }
  return found.concat(blocks.length ? [] : ["no commands"]).join("; ");
})()`;
// All words but those of buttons, and whether there are buttons.
const WORDS = `(() => {
  const copy = document.body.cloneNode(true);
  const buttons = copy.querySelectorAll("button, script");
  const count = copy.querySelectorAll("button").length;
  buttons.forEach((it) => it.remove());
  return [copy.textContent.replace(/\\s+/g, " "), count];
})()`;
const AXE = `axe.run(document, { resultTypes: ["violations"] }).then((found) => found.violations.map((it) =>
  it.id + ": " + it.help + ": " + it.nodes.length + " times, first " + it.nodes[0].target.join(" ")))`;

const tab = await open();
const drawn = {};
for (const scheme of ["light", "dark"]) {
  for (const width of [PHONE, 1280]) {
    await look(tab, scheme, width);
    const said = await visit(tab, page);
    const at = `${scheme}, ${width} px`;
    check(`${at}: nothing is said on the console`, said.length === 0, said.join("; "));
    drawn[at] = await shoot(tab, `${scheme}-${width}`);
    await ask(tab, UNFOLD);
    const { by, first } = await ask(tab, OVERFLOW);
    check(`${at}: nothing is wider than the window`, by <= 0 && first === "", `by ${by} px: ${first}`);
    const cut = await ask(tab, CUT);
    check(`${at}: no word of a picture is cut off`, cut === "", cut);
    // It takes its time with a long page: both colours and both widths, but not each with each.
    if ((scheme === "light") === (width === PHONE)) {
      await tab("Runtime.evaluate", { expression: readFileSync(axe, "utf8") });
      const violations = await ask(tab, AXE);
      check(`${at}: axe-core finds nothing`, violations.length === 0, violations.join("\n  "));
    }
  }
}
check("light and dark differ", drawn["light, 1280 px"] !== drawn["dark, 1280 px"]);
const sections = await ask(tab, `document.querySelectorAll("section.demo").length`);
check("there are demos on the page", sections > 0);
const dead = await ask(tab, DEAD);
check("each link leads to a place", dead === "", dead);
check("the contents lead to each demo", (await ask(tab, LEFT_OUT)) === 0);
const [counted, rows] = await ask(tab, ROWS);
check("each claim has a row", counted > 0 && counted === rows, `${counted} claims, ${rows} rows`);
const backticks = await ask(tab, BACKTICKS);
check("what stands between backticks is set as code", backticks === "", backticks);
await call("Browser.grantPermissions", { permissions: ["clipboardReadWrite", "clipboardSanitizedWrite"] });
await tab("Emulation.setFocusEmulationEnabled", { enabled: true });
const copied = await ask(tab, COPY);
check("each button copies the commands beside it", copied === "", copied);

const [, scripted] = [await visit(tab, page), await ask(tab, WORDS)];
const folded = await ask(tab, `document.querySelector("details details[id]")?.id ?? ""`);
await ask(tab, `location.hash = ${JSON.stringify(folded)}`);
const opened = await ask(tab, `document.getElementById(${JSON.stringify(folded)})?.checkVisibility() &&
  document.getElementById(${JSON.stringify(folded)}).open`);
check("a link opens the row that it leads to", opened === true, folded);

await look(tab, "light", 1280);
await tab("Emulation.setScriptExecutionDisabled", { value: true });
await visit(tab, page);
const [words, buttons] = await ask(tab, WORDS);
check("without script the same words are there", words === scripted[0]);
check("without script there is no button", buttons === 0 && scripted[1] > 0);
await shoot(tab, "no-script");
await tab("Emulation.setScriptExecutionDisabled", { value: false });

await tab("Emulation.setEmulatedMedia", { media: "print" });
const printed = await ask(tab, `document.querySelector("details[id] table")?.getBoundingClientRect().height > 0`);
check("what is folded is printed", printed === true);
const { data } = await tab("Page.printToPDF", { preferCSSPageSize: true });
const pdf = Buffer.from(data, "base64");
check("it prints", pdf.subarray(0, 5).toString() === "%PDF-" && pdf.length > 20_000);
if (shots) writeFileSync(join(shots, "print.pdf"), pdf);

for (const picture of pictures) {
  const said = await visit(tab, picture);
  const fine = await ask(tab, `document.documentElement.nodeName === "svg" && !document.querySelector("parsererror") &&
    document.documentElement.getBoundingClientRect().width > 50`);
  const cut = await ask(tab, CUT);
  check(`${basename(picture)} is a picture by itself`, fine && said.length === 0 && cut === "", said.join("; ") + cut);
}

const gone = new Promise((resolve) => browser.on("exit", resolve));
await call("Browser.close").catch(() => {});
await gone;
// Its helpers end a moment later, and write until then.
rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
console.log(faults.length === 0 ? "all is well" : `${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
