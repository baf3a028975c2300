/*
 * Flame graphs, from the root down: each call path is as wide as what it grew, released or lasted, with all below it.
 */

const flameValues = [
	{ key: "grown", title: "Grown", say: sayBytes },
	{ key: "released", title: "Released", say: sayBytes },
	{ key: "uncertain", title: "Uncertain", say: sayBytes },
	{ key: "time_ns", title: "Time", say: sayTime },
];
const flame = { value: flameValues[0], root: 0, chosen: -1, find: "", frames: [], top: 0 };
const flameBox = byId("flame-rows");

/* Where each path is, by rows: { path, x, width } in shares of the whole width. Callers of the root take all of it. */
function layFlame() {
	const values = paths[flame.value.key];
	const rows = [];
	const put = (row, path, x, width) => (rows[row] = rows[row] || []).push({ path, x, width });
	const above = pathList(flame.root);
	if (above.length)
		above.unshift(0);
	above.forEach((path, i) => put(i, path, 0, 1));
	const waiting = [];
	if (!flame.root)
		put(0, 0, 0, 1);
	waiting.push({ path: flame.root, row: flame.root ? above.length - 1 : 0, x: 0, width: 1 });
	while (waiting.length) {
		const { path, row, x, width } = waiting.pop();
		let at = x;
		if (values[path] <= 0)
			continue;
		for (const child of [...paths.children[path]].sort((a, b) => values[b] - values[a] || a - b)) {
			const share = values[child] / values[path] * width;
			if (share < 0.0002)
				break;
			put(row + 1, child, at, share);
			waiting.push({ path: child, row: row + 1, x: at, width: share });
			at += share;
		}
	}
	for (const row of rows)
		row.sort((a, b) => a.x - b.x);
	flame.frames = rows;
}

function flameName(path) {
	return path ? pathName(path) : "(all)";
}

function flameMatches(path) {
	return !flame.find || functionName(paths.function[path]).toLowerCase().includes(flame.find);
}

const redrawFlame = onceAFrame(() => {
	const width = flameBox.clientWidth, height = flameBox.clientHeight;
	if (!width || !height)
		return;
	byId("flame-inner").style.height = Math.max(flame.frames.length * ROW + 6, height) + "px";
	const context = prepareCanvas(byId("flame-canvas"), width, height);
	const top = flameBox.scrollTop;
	const end = Math.min(flame.frames.length, Math.ceil((top + height) / ROW));
	for (let i = Math.floor(top / ROW); i < end; i++)
		for (const frame of flame.frames[i]) {
			const x = frame.x * width;
			drawFrame(context, x, i * ROW - top, frame.width * width, paths.function[frame.path],
				  { faded: !flameMatches(frame.path), name: flameName(frame.path) });
			if (frame.path === flame.chosen)
				outline(context, x + 1, i * ROW - top + 1, frame.width * width - 1);
		}
	if (paths[flame.value.key][0] <= 0) {
		context.fillStyle = colours.dim;
		context.fillText("Nothing of this kind in this trace.", 8, ROW + 16);
	}
});

function flameText(path) {
	const values = paths[flame.value.key];
	const number = paths.function[path];
	const share = values[0] > 0 ? 100 * values[path] / values[0] : 0;
	return (flameName(path) + "\n" + (functionFile(number) ? functionFile(number) + "\n" : "") +
		flame.value.title.toLowerCase() + " " + flame.value.say(values[path]) + " (" + share.toFixed(1) + " %), in " +
		sayCount(paths.calls[path]) + " calls");
}

function chooseFlame(path) {
	flame.chosen = path;
	const text = byId("flame-text");
	text.replaceChildren();
	if (path >= 0) {
		text.append(flameText(path).replaceAll("\n", "  "), " ");
		const call = callOf(path);
		if (call)
			text.append(make("button", { onclick: () => showCall(call) }, "Its largest call on the curve"));
		if (path > 0)
			text.append(" ", make("button", { onclick: () => searchFunction(paths.function[path]) }, "Function"));
	}
	redrawFlame();
}

function zoomFlame(path) {
	flame.root = path;
	layFlame();
	redrawFlame();
}

function flameAt(event) {
	const box = flameBox.getBoundingClientRect();
	const row = flame.frames[Math.floor((event.clientY - box.top + flameBox.scrollTop) / ROW)];
	const x = (event.clientX - box.left) / flameBox.clientWidth;
	return row ? row.find(frame => x >= frame.x && x < frame.x + frame.width) : undefined;
}

function flameKey(event) {
	if (event.key !== "Enter" && !event.key.startsWith("Arrow"))
		return false;
	const row = flame.frames.findIndex(frames => frames.some(frame => frame.path === flame.chosen));
	let next = -1;
	if (row < 0)
		next = flame.root;
	else if (event.key === "Enter")
		zoomFlame(flame.chosen);
	else if (event.key === "ArrowUp")
		next = flame.chosen > 0 ? paths.parent[flame.chosen] : -1;
	else if (event.key === "ArrowDown") {
		const below = (flame.frames[row + 1] || []).filter(frame => paths.parent[frame.path] === flame.chosen);
		next = below.length ? below.reduce((most, frame) => frame.width > most.width ? frame : most).path : -1;
	} else {
		const at = flame.frames[row].findIndex(frame => frame.path === flame.chosen);
		const beside = flame.frames[row][at + (event.key === "ArrowLeft" ? -1 : 1)];
		next = beside ? beside.path : -1;
	}
	if (next >= 0)
		chooseFlame(next);
	return true;
}

function startFlame() {
	for (const value of flameValues)
		byId("flame-values").append(make("button", {
			onclick: () => setFlameValue(value), id: "flame-" + value.key,
		}, value.title));
	flameBox.addEventListener("click", event => {
		const frame = flameAt(event);
		if (!frame)
			return;
		if (frame.path === flame.chosen && frame.path !== flame.root)
			zoomFlame(frame.path);
		chooseFlame(frame.path);
	});
	flameBox.addEventListener("pointermove", event => {
		const frame = event.pointerType === "mouse" && flameAt(event);
		showTip(event, frame ? flameText(frame.path) : "");
	});
	flameBox.addEventListener("pointerleave", event => showTip(event, ""));
	flameBox.addEventListener("scroll", redrawFlame);
	byId("flame-search").addEventListener("input", event => {
		flame.find = event.target.value.toLowerCase();
		redrawFlame();
	});
	byId("flame-reset").onclick = () => zoomFlame(0);
	byId("flame-note").textContent = "Click to choose, again to zoom.";
	new ResizeObserver(redrawFlame).observe(flameBox);
	setFlameValue(flame.value);
}

function setFlameValue(value) {
	flame.value = value;
	for (const one of flameValues)
		byId("flame-" + one.key).setAttribute("aria-pressed", String(one === value));
	layFlame();
	chooseFlame(-1);
}
