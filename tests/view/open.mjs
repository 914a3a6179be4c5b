// Opens pages that hold an answer, and the view in the plainest host there can be, in a real browser. The argument
// is a file of JSON: the browser's program, the pages by name, the view's document, and an answer. Prints what was
// seen, as JSON.

import { readFile } from "node:fs/promises";
import { chromium } from "../clients/node_modules/playwright-core/index.mjs";

const { executablePath, pages, view, answer, asked } = JSON.parse(await readFile(process.argv[2], "utf8"));
const axe = await readFile(new URL("../clients/node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const browser = await chromium.launch({
  executablePath,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=IsolateSandboxedIframes",
  ],
});

async function fresh(options) {
  const page = await browser.newPage({ locale: "en-GB", timezoneId: "Europe/Berlin", ...options });
  page.setDefaultTimeout(30_000);
  const seen = { errors: [], requests: [] };
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && seen.errors.push(m.text()));
  page.on("pageerror", (e) => seen.errors.push(e.message));
  page.on("dialog", (d) => (seen.errors.push(`a dialog: ${d.message()}`), d.dismiss()));
  page.on("request", (r) => seen.requests.push(r.url()));
  return [page, seen];
}

async function open({ url, width, scheme = "light", timezoneId = "Europe/Berlin", steps = [], evaluate = [], picture }) {
  const [page, seen] = await fresh({ viewport: { width, height: 700 }, colorScheme: scheme, timezoneId });
  await page.goto(url);
  await page.locator("main[aria-busy=false]").waitFor();
  for (const [what, ...to] of steps) {
    if (what === "click") await page.getByRole(to[0], { name: to[1], exact: true }).click();
    else if (what === "focus") await page.getByRole(to[0], { name: to[1], exact: true }).focus();
    else if (what === "press") await page.keyboard.press(to[0]);
    else if (what === "type") await page.keyboard.type(to[0]);
    else if (what === "download") {
      const button = page.getByRole("button", { name: "Download CSV", exact: true });
      const [file] = await Promise.all([page.waitForEvent("download"), button.click()]);
      seen.saved = await readFile(await file.path(), "utf8");
      seen.file = file.suggestedFilename();
    }
  }
  seen.text = await page.evaluate(() => document.body.innerText);
  seen.title = await page.title();
  seen.head = await page.locator("h1").innerText();
  seen.overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  seen.said = await page.locator("#said").innerText();
  seen.values = [];
  for (const expression of evaluate) seen.values.push(await page.evaluate(expression));
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document));
  seen.axe = violations.map((v) => `${v.impact}: ${v.id}: ${v.nodes.map((n) => n.html).join(" ").slice(0, 300)}`);
  if (picture) await page.screenshot({ path: picture, fullPage: true });
  const rows = () => page.locator(".bars > li").count();
  seen.rows = [await rows()];
  await page.emulateMedia({ media: "print" });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  seen.rows.push(await rows());
  seen.printed = await page.evaluate(() => document.body.innerText);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  const before = [...seen.errors];
  seen.foreign = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    return window.ran === true;
  });
  seen.errors = before; // that the policy refused it is told on the console
  await page.close();
  return seen;
}

async function host() {
  const [page, seen] = await fresh({ viewport: { width: 700, height: 700 } });
  await page.setContent('<iframe sandbox="allow-scripts" width="600" height="500"></iframe>');
  const context = {
    availableDisplayModes: ["inline", "fullscreen"],
    displayMode: "inline",
    theme: "dark",
    locale: "de-DE",
    timeZone: "America/New_York",
    styles: {
      variables: { "--color-background-primary": "rgb(1, 2, 3)" },
      css: { fonts: "/* the host's fonts */" },
    },
    safeAreaInsets: { top: 7, right: 0, bottom: 7, left: 0 },
  };
  await page.evaluate(
    ({ view, answer, asked, hostContext }) => {
      const frame = document.querySelector("iframe");
      window.heard = [];
      window.post = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
      addEventListener("message", ({ data }) => {
        heard.push(data);
        const hostInfo = { name: "host", version: "1" };
        const result = { protocolVersion: "2026-01-26", hostInfo, hostCapabilities: {}, hostContext };
        if (data.method === "ui/request-display-mode") {
          post({ id: data.id, result: { mode: data.params.mode } });
          post({ method: "ui/notifications/host-context-changed", params: { displayMode: data.params.mode } });
        }
        if (data.method === "ui/initialize") post({ id: data.id, result });
        if (data.method === "ui/notifications/initialized") {
          post({ method: "ui/notifications/tool-input", params: { arguments: asked } });
          const content = [{ type: "text", text: JSON.stringify(answer) }];
          const _meta = { "audience-mcp/names": { batch: "Batch (Acme GmbH)" } };
          post({ method: "ui/notifications/tool-result", params: { content, structuredContent: answer, _meta } });
        }
      });
      frame.srcdoc = view;
    },
    { view, answer, asked, hostContext: context },
  );
  let frame;
  for (let n = 0; !frame && n < 300; n++) {
    frame = page.frames().find((each) => each.url() === "about:srcdoc");
    if (!frame) await page.waitForTimeout(100);
  }
  await frame.locator("main[aria-busy=false]").waitFor();
  const look = () =>
    frame.evaluate(() => ({
      text: document.body.innerText,
      scheme: document.body.style.colorScheme,
      back: [document.documentElement, document.body].map((node) => getComputedStyle(node).backgroundColor),
      small: [...document.querySelectorAll("button, input, summary, [role=slider]")]
        .filter((node) => Math.min(node.getBoundingClientRect().height, node.getBoundingClientRect().width) < 44)
        .map((node) => node.outerHTML),
      scrolling: [...document.querySelectorAll("*")]
        .filter((node) => /auto|scroll/.test(getComputedStyle(node).overflow))
        .map((node) => node.outerHTML),
      fonts: document.getElementById("fonts").textContent,
      margin: getComputedStyle(document.body).marginTop,
      height: Math.ceil(document.body.getBoundingClientRect().height + 2 * parseFloat(getComputedStyle(document.body).marginTop)),
    }));
  await page.waitForFunction(() => heard.some((m) => m.method === "ui/notifications/size-changed"));
  seen.first = await look();

  // A stranger: another frame of the same page.
  await page.evaluate(() => {
    const stranger = document.body.appendChild(document.createElement("iframe"));
    const lie = { jsonrpc: "2.0", method: "ui/notifications/tool-result", params: { isError: true, content: [] } };
    stranger.contentWindow.eval(`parent.frames[0].postMessage(${JSON.stringify(lie)}, "*")`);
  });
  await page.evaluate(() => post({ method: "ui/notifications/host-context-changed", params: { locale: "en-US", theme: "light" } }));
  await frame.waitForFunction(() => document.body.style.colorScheme === "light");
  seen.changed = await look();

  const told = (method) => page.evaluate((m) => heard.filter((each) => each.method === m).length, method);
  const sizes = await told("ui/notifications/size-changed");
  await frame.getByRole("button", { name: "Table" }).click();
  await page.waitForFunction(
    (before) => heard.filter((m) => m.method === "ui/notifications/size-changed").length > before,
    sizes,
  );
  seen.table = await look();
  await frame.getByRole("button", { name: "Full screen" }).click();
  await frame.locator("body:not(.inline)").waitFor();
  seen.full = await look();
  // A browser that allows no copying at all.
  const errors = [...seen.errors];
  await frame.evaluate(() => (document.execCommand = () => false));
  await frame.getByRole("button", { name: "Copy CSV" }).click();
  const byHand = frame.getByRole("textbox", { name: "The answer as CSV" });
  seen.copied = await byHand.inputValue();
  seen.selected = await frame.evaluate(() => document.activeElement.selectionEnd);
  seen.said = await frame.getByRole("status").innerText();
  seen.errors = errors; // the refusal may be told on the console

  await page.evaluate(() => {
    post({ method: "ui/notifications/tool-cancelled", params: { reason: "The person changed their mind." } });
    post({ id: 77, method: "ping" });
    post({ id: 78, method: "something/else" });
    post({ id: 79, method: "ui/resource-teardown", params: {} });
  });
  await page.waitForFunction(() => heard.some((m) => m.id === 79));
  seen.cancelled = await look();
  seen.heard = await page.evaluate(() => heard);
  await page.close();
  return seen;
}

const all = { host: await host(), pages: {} };
for (const [name, asked] of Object.entries(pages)) all.pages[name] = await open(asked);
await browser.close();
console.log(JSON.stringify(all));
