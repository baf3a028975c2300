/*
 * The page around the charts: what is chosen, in words; tabs, keys, light and dark.
 */

function figure(title, value, className = "") {
	return make("span", {}, title + " ", make("b", { className }, value));
}

function crumbs(path) {
	const list = make("p", { className: "crumbs" });
	pathList(path).forEach((at, i) => {
		if (i)
			list.append(" \u203a ");
		const number = paths.function[at];
		list.append(make("button", { title: functionFile(number), onclick: () => searchFunction(number) }, functionName(number)));
	});
	return list;
}

function panelOfCall(call) {
	const number = paths.function[call.path];
	const place = functionFile(number);
	return [
		make("h2", {}, functionName(number), " ", make("span", { className: "dim" }, place)),
		make("p", { className: "figures" },
			figure("RSS", (call.ghost ? "" : sayBytes(call.rss) + " ") + sayBytes(call.change, true), call.change > 0 ? "grown" : call.change < 0 ? "released" : ""),
			figure("in", sayTime(call.end - call.begin)),
			figure("from", sayMoment(call.begin, call.end - call.begin)),
			figure("thread", DATA.threads[call.thread].name),
			figure("moved by its thread", sayBytes(call.moved))),
		crumbs(call.path),
		make("p", { className: "figures dim" }, "All calls of this path:",
			figure("calls", sayCount(paths.calls[call.path])), figure("time", sayTime(paths.time_ns[call.path])),
			figure("grown", sayBytes(paths.grown[call.path])), figure("itself", sayBytes(paths.own_grown[call.path])),
			figure("released", sayBytes(paths.released[call.path])), figure("uncertain", sayBytes(paths.uncertain[call.path]))),
		make("p", {},
			make("button", { id: "panel-function", onclick: () => searchFunction(number) }, "Show the function"), " ",
			make("button", { onclick: () => setView(call.begin, call.end) }, "Zoom to it"), " ",
			make("button", { onclick: () => choose({ range: [call.begin, call.end] }) }, "Who moved RSS meanwhile")),
	];
}

function moverRow(sum, from, to) {
	const words = [];
	const say = (bytes, sign, className) => bytes && words.push(make("span", { className }, sayBytes(sign * bytes, true)), " ");
	say(sum.grown, 1, "grown");
	say(sum.released, -1, "released");
	if (sum.unsureGrown || sum.unsureReleased) {
		words.push(make("span", { className: "uncertain" }, "uncertain "));
		say(sum.unsureGrown, 1, "uncertain");
		say(sum.unsureReleased, -1, "uncertain");
	}
	const line = make("tr", {}, make("td", {}, ...words));
	if (sum.path < 0) {
		line.append(make("td", { className: "name" }, "others, too small to keep apart"));
	} else if (sum.path === 0) {
		line.append(make("td", { className: "name" }, pathName(0)));
	} else {
		const number = paths.function[sum.path];
		const callers = pathList(sum.path).slice(-5, -1).map(pathName).join(" > ");
		line.append(make("td", { className: "name" }, functionCell(number, () => {
			const call = callOf(sum.path, from, to);
			if (call)
				showCall(call);
			else
				searchFunction(number);
		}), make("div", { className: "dim" }, callers ? "from " + callers : "")));
	}
	return line;
}

function panelOfRange([from, to]) {
	const movers = moversIn(from, to);
	const sum = key => movers.reduce((all, one) => all + one[key], 0);
	const up = sum("grown") + sum("unsureGrown"), down = sum("released") + sum("unsureReleased");
	const shown = movers.slice(0, 25);
	return [
		make("h2", {}, to > from ? sayMoment(from, to - from) + " to " + sayMoment(to, to - from) : "at " + sayMoment(from, 0)),
		make("p", { className: "figures" }, figure("grown", sayBytes(up, true), up ? "grown" : ""),
			figure("released", sayBytes(-down, true), down ? "released" : ""), figure("by", sayCount(movers.length) + (movers.length === 1 ? " call path" : " call paths"))),
		movers.length ? make("div", { className: "scroll" }, make("table", { id: "movers" }, make("tbody", {}, ...shown.map(one => moverRow(one, from, to)))))
			: make("p", { className: "dim" }, "RSS did not move."),
		movers.length > shown.length ? make("p", { className: "dim" }, "and " + (movers.length - shown.length) + " more") : "",
	];
}

function showPanel() {
	const panel = byId("panel");
	if (chosen.call)
		panel.replaceChildren(...panelOfCall(chosen.call));
	else if (chosen.range)
		panel.replaceChildren(...panelOfRange(chosen.range));
	else
		panel.replaceChildren(make("p", { className: "dim" },
			"Choose a step, drag over the curve, or click a call: here is then who moved RSS. Keys: n, p, ?"));
}

/* A call, wherever the page was scrolled to. */
function showCall(call) {
	revealCall(call);
	choose({ call });
	const box = byId("time").getBoundingClientRect();
	if (box.top < -200 || box.top > innerHeight / 2)
		byId("time").scrollIntoView({ block: "start" });
}

const TABS = ["growth", "flame", "functions", "threads"];

function showTab(name) {
	for (const tab of TABS) {
		byId("tab-" + tab).setAttribute("aria-selected", String(tab === name));
		byId("tab-" + tab).tabIndex = tab === name ? 0 : -1;
		byId(tab).hidden = tab !== name;
	}
	if (name === "flame")
		redrawFlame();
}

/*
 * Light and dark. A page from a file may not be allowed to remember anything; then it does not.
 */

const THEMES = ["system", "light", "dark"];
let theme = "system";
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function setTheme(name) {
	theme = name;
	document.documentElement.dataset.theme = name === "system" ? systemDark.matches ? "dark" : "light" : name;
	byId("theme").textContent = "Theme: " + name;
	readColours();
	redrawTime();
	redrawFlame();
	try {
		localStorage.setItem("mtdump-theme", name);
	} catch (error) {
		/* as it is, then */
	}
}

function rememberedTheme() {
	try {
		const name = localStorage.getItem("mtdump-theme");
		return THEMES.includes(name) ? name : "system";
	} catch (error) {
		return "system";
	}
}

/*
 * Keys
 */

const keys = {
	n: () => nextStep(1),
	p: () => nextStep(-1),
	"+": () => zoom(0.5),
	"=": () => zoom(0.5),
	"-": () => zoom(2),
	0: () => setView(BEGIN, END),
	z: () => chosen.range && setView(...chosen.range),
	t: () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]),
	"?": () => byId("keys").showModal(),
	"/": () => {
		showTab("functions");
		byId("search").focus();
	},
	Escape: () => choose({}),
};
TABS.forEach((tab, i) => keys[i + 1] = () => showTab(tab));

function arrow(key) {
	if (chosen.call) {
		const next = neighbour(key);
		if (next) {
			revealCall(next);
			choose({ call: next });
		}
	} else if (key === "ArrowDown") {
		const first = (threadRows[view.thread] || [])[0];
		const call = first && first[firstInRow(first, view.from)];
		if (call)
			choose({ call });
	} else if (key !== "ArrowUp") {
		pan(key === "ArrowLeft" ? -0.2 : 0.2);
	}
}

function onKey(event) {
	const target = event.target;
	const writes = target.matches("input, select, textarea");
	if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open)
		return;
	if (writes) {
		if (event.key === "Escape")
			target.blur();
		return;
	}
	if (target === flameBox && flameKey(event)) {
		event.preventDefault();
		return;
	}
	if (target.getAttribute("role") === "tab" && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
		const at = TABS.indexOf(target.id.slice(4));
		const next = TABS[(at + (event.key === "ArrowLeft" ? TABS.length - 1 : 1)) % TABS.length];
		showTab(next);
		byId("tab-" + next).focus();
		event.preventDefault();
		return;
	}
	/* Arrows scroll the page unless a chart has the focus. */
	if (event.key.startsWith("Arrow")) {
		if (target === curveCanvas || target === rowsBox) {
			arrow(event.key);
			event.preventDefault();
		}
		return;
	}
	if (keys[event.key]) {
		keys[event.key]();
		event.preventDefault();
	}
}

/*
 * What it is
 */

function pythonVersion() {
	const hex = DATA.python_hexversion;
	return hex ? (hex >>> 24) + "." + (hex >>> 16 & 255) + "." + (hex >>> 8 & 255) : "";
}

function showHead() {
	document.title = DATA.trace + " - mtdump";
	byId("title").textContent = DATA.trace;
	const words = [
		"RSS " + sayBytes(DATA.rss_first_bytes) + " to " + sayBytes(DATA.rss_last_bytes) + " in " + sayTime(END - BEGIN),
		DATA.peak ? "peak " + sayBytes(DATA.peak.rss_bytes) : "",
		"grown " + sayBytes(DATA.grown_bytes) + ", released " + sayBytes(DATA.released_bytes),
		DATA.uncertain_grown_bytes || DATA.uncertain_released_bytes
			? "uncertain " + [DATA.uncertain_grown_bytes, -DATA.uncertain_released_bytes].filter(bytes => bytes)
				.map(bytes => sayBytes(bytes, true)).join(" ") : "",
		sayCount(DATA.calls_all) + " calls", pythonVersion() ? "Python " + pythonVersion() : "", "process " + DATA.pid,
	];
	byId("summary").textContent = words.filter(word => word).join(" \u00b7 ");
	const notes = [];
	if (DATA.lost)
		notes.push(sayCount(DATA.lost) + " events were lost: what happened then is uncertain.");
	if (DATA.damaged_blocks)
		notes.push(sayCount(DATA.damaged_blocks) + " blocks of the trace are damaged and left out.");
	byId("notes").textContent = notes.join(" ");
	byId("notes").hidden = !notes.length;
	byId("footer").textContent = DATA.writer + " \u00b7 recorded " + new Date(DATA.start_wall_ms).toISOString() +
		" \u00b7 " + (calls.length < DATA.slices_all ? sayCount(calls.length) + " of " + sayCount(DATA.slices_all) + " calls are drawn" : "all calls are drawn");
}

function start() {
	setTheme(rememberedTheme());
	showHead();
	startTimeline();
	startFlame();
	startTables();
	showPanel();
	showTab(growthRows.some(row => row.named) ? "growth" : "flame");
	for (const tab of TABS)
		byId("tab-" + tab).onclick = () => showTab(tab);
	byId("theme").onclick = keys.t;
	byId("help").onclick = keys["?"];
	systemDark.addEventListener("change", () => theme === "system" && setTheme("system"));
	document.addEventListener("keydown", onKey);
	redrawTime();
}

start();
