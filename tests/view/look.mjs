// A person at the MCP Inspector in a real browser who opens the view of a tool and looks at it. The argument is a
// file of JSON: the browser's program, and what to look at. Prints what was seen, as JSON.

import { readFile } from "node:fs/promises";
import { chromium } from "../clients/node_modules/playwright-core/index.mjs";

const { executablePath, looks } = JSON.parse(await readFile(process.argv[2], "utf8"));
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
    // The language that is set for a page reaches its frames only where they share its process; they are kept
    // apart by their origins all the same.
    "--disable-features=IsolateSandboxedIframes",
  ],
});

const inView = (frame) => frame?.url() === "about:srcdoc";

async function look({ address, title, tool, scheme, locale, width, steps, evaluate, picture }) {
  const context = await browser.newContext({
    viewport: { width: 1700, height: 1000 },
    colorScheme: scheme,
    locale,
    timezoneId: "Europe/Berlin",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const seen = { errors: [], requests: [] };
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && seen.errors.push(m.text()));
  page.on("pageerror", (e) => seen.errors.push(e.message));
  page.on("request", (r) => inView(r.frame()) && seen.requests.push(r.url()));
  let saving = false; // this host asks before it saves a file
  page.on("dialog", (d) => (saving ? d.accept() : (seen.errors.push(`a dialog: ${d.message()}`), d.dismiss())));
  // The Inspector would like a web font; nothing but this computer is asked.
  const elsewhere = (url) => url.protocol.startsWith("http") && url.hostname !== "127.0.0.1";
  await page.route(elsewhere, (route) => route.fulfill({ body: "", contentType: "text/css" }));

  await page.goto(address);
  const connected = page.getByText("Connected", { exact: true }).first();
  for (let tries = 0; !(await connected.isVisible()) && tries < 5; tries++) {
    // A click that comes before the page has come to life is lost.
    await page.getByRole("switch", { name: "Connect or disconnect" }).evaluate((button) => button.click());
    await connected.waitFor({ timeout: 6_000 }).catch(() => {});
  }
  await page.getByText("Apps", { exact: true }).first().click();
  await page.getByText(title).first().click();
  await page.getByRole("switch", { name: "Edit as JSON" }).evaluate((button) => button.click());
  await page.getByRole("textbox", { name: /^Arguments JSON/ }).focus();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.insertText(JSON.stringify(tool));
  await page.getByRole("button", { name: "Open App" }).click();

  const outer = page.locator(`iframe[title="${title}"]`);
  await outer.evaluate((frame, wide) => {
    frame.style.width = `${wide}px`;
    frame.style.position = "fixed";
    frame.style.inset = "0";
    frame.style.height = "1000px";
    frame.style.zIndex = "100000";
    frame.style.background = "Canvas"; // of the host: the view is transparent
  }, width);
  let frame;
  for (let n = 0; !frame && n < 300; n++) {
    frame = page.frames().find(inView);
    if (!frame) await page.waitForTimeout(100);
  }
  await frame.locator("main[aria-busy=false]").waitFor();
  await frame.waitForFunction((wide) => innerWidth === wide, width);

  for (const [what, ...to] of steps) {
    if (what === "click") await frame.getByRole(to[0], { name: to[1], exact: true }).click();
    else if (what === "focus") await frame.getByRole(to[0], { name: to[1], exact: true }).focus();
    else if (what === "press") await page.keyboard.press(to[0]);
    else if (what === "type") await page.keyboard.type(to[0]);
    else if (what === "download") {
      saving = true;
      const [file] = await Promise.all([
        page.waitForEvent("download"),
        frame.getByRole("button", { name: "Download CSV", exact: true }).click(),
      ]);
      seen.saved = await readFile(await file.path(), "utf8");
      saving = false;
    } else if (what === "full screen") {
      await frame.getByRole("button", { name: "Full screen", exact: true }).click();
      await frame.locator("body:not(.inline)").waitFor();
    }
    else if (what === "scheme") {
      await page.getByRole("button", { name: "Toggle color scheme" }).evaluate((button) => button.click());
      await frame.waitForFunction((now) => document.body.style.colorScheme === now, to[0]);
    }
  }
  seen.text = await frame.evaluate(() => document.body.innerText);
  seen.overflow = await frame.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  seen.values = [];
  for (const expression of evaluate) seen.values.push(await frame.evaluate(expression));
  seen.height = await frame.evaluate(() => [document.body.getBoundingClientRect().height, document.body.className]);
  await frame.evaluate(axe);
  // What lies behind a transparent frame is the host's, and axe takes it for white.
  await frame.evaluate(() => document.body.classList.contains("inline") && (document.body.style.background = "var(--back)"));
  const { violations } = await frame.evaluate(() => axe.run(document));
  seen.axe = violations.map((v) => `${v.impact}: ${v.id}: ${v.nodes.map((n) => n.html).join(" ").slice(0, 300)}`);
  if (picture) {
    const around = page.locator("header, footer"); // the Inspector's own, which would lie above the view
    await around.evaluateAll((found) => found.forEach((each) => (each.style.visibility = "hidden")));
    await outer.screenshot({ path: picture });
  }
  await context.close();
  return seen;
}

const all = {};
for (const [name, asked] of Object.entries(looks)) {
  try {
    all[name] = await look(asked);
  } catch (e) {
    all[name] = { failed: String(e.stack) };
  }
}
await browser.close();
console.log(JSON.stringify(all));
