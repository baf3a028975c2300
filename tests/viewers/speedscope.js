// speedscope's own program, as npm has it, opens FILE in a document without a screen, and lists its profiles.
//
//     node speedscope.js FILE WORD...     fails if it says that something is wrong, or does not show each WORD
const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");
const here = createRequire(path.join(process.cwd(), "package.json"));
const { JSDOM, VirtualConsole } = here("jsdom");

const [file, ...words] = process.argv.slice(2);
const release = path.join(path.dirname(here.resolve("speedscope/package.json")), "dist/release");
const program = fs.readdirSync(release).find(name => /^speedscope-.*\.js$/.test(name));
const said = [];
const virtualConsole = new VirtualConsole();
for (const kind of ["log", "warn", "error"])
	virtualConsole.on(kind, (...text) => said.push(text.join(" ")));
const { window } = new JSDOM("<!DOCTYPE html><html><head></head><body></body></html>", {
	url: "http://localhost/index.html#profileURL=http://localhost/" + path.basename(file),
	runScripts: "outside-only", pretendToBeVisual: true, virtualConsole,
});
// What a browser has and jsdom has not. Drawing (WebGL) fails, which it says and survives; reading is what is tested.
window.TextDecoder = TextDecoder;
window.TextEncoder = TextEncoder;
window.matchMedia = () => ({ matches: false, addEventListener() {}, addListener() {} });
window.Element.prototype.scrollIntoView = () => {};
window.alert = text => said.push("ALERT: " + text);
window.fetch = async () => ({ ok: true, arrayBuffer: async () => new Uint8Array(fs.readFileSync(file)).buffer });
window.eval(fs.readFileSync(path.join(release, program), "utf8"));

const started = Date.now();
const timer = setInterval(() => {
	const shown = window.document.body.textContent;
	const missing = words.filter(word => !shown.includes(word));
	const bad = said.filter(text => text.startsWith("ALERT"));
	if (missing.length && !bad.length && Date.now() - started < 60000)
		return;
	clearInterval(timer);
	if (missing.length || bad.length) {
		console.error("said:", said, "\nshown:", shown, "\nmissing:", missing);
		process.exit(1);
	}
	process.exit(0);
}, 100);
