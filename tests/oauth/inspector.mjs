// A person at the MCP Inspector in a real browser: connects, logs in at the authorization server's page, consents,
// runs list_audiences. Prints, as one line of JSON, what the pages showed and which other hosts they asked for.
// The arguments: the browser's program, the address of the Inspector, the name to log in with.

import { chromium } from "../clients/node_modules/playwright-core/index.mjs";

const [executablePath, inspector, name] = process.argv.slice(2);
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
  ],
});
const page = await browser.newPage({ viewport: { width: 1300, height: 1000 } });
page.setDefaultTimeout(30_000);
// Both pages would like a web font; nothing but this computer is asked.
await page.route((url) => url.hostname !== "127.0.0.1", (route) => route.abort());

await page.goto(inspector);
const home = page.url().split("?")[0];
// By the keyboard: the input that a mouse would have to hit is drawn by another element.
await page.getByRole("switch", { name: "Connect or disconnect" }).press("Space");
await page.fill("input[name=login]", name);
const login = page.url();
await page.fill("input[name=password]", "a password");
await page.click("button[type=submit]");
const consent = page.getByRole("button", { name: "Continue" });
await consent.waitFor();
const asked = await page.locator("body").innerText();
await consent.click();
await page.waitForURL(`${home}**`);
await page.getByText("Connected", { exact: true }).first().waitFor();
await page.getByText("Tools", { exact: true }).first().click();
await page.getByText("list_audiences").first().click();
await page.getByRole("button", { name: "Execute Tool" }).click();
await page.getByText("Results").first().waitFor();
await page.getByText('"matched"').first().waitFor();
const result = await page.locator("body").innerText();
await browser.close();
console.log(JSON.stringify({ login, asked, result }));
