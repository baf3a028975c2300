/*
 * The curve of RSS over the calls of one thread, with one axis of time: what is chosen in one is seen in the other.
 *
 * chosen.range is a span of time, chosen.call a call (whose range is its time); whoever changes them calls choose().
 */

const SMALLEST_VIEW = 50;       /* ns */
const view = { from: BEGIN, to: END, thread: 0 };
const chosen = { range: null, call: null, step: -1 };

const curveCanvas = byId("curve");
const rowsBox = byId("rows");
const rowsInner = byId("rows-inner");
const callsCanvas = byId("calls");

/*
 * Rows of calls
 *
 * A call may be here without its caller (analyzer/detail.h). Then the caller is put in as a "ghost" that is known to have
 * lasted at least as long as what it called.
 */
const threadRows = (() => {
	const threads = DATA.threads.map(() => []);
	const open = DATA.threads.map(() => []);
	for (const call of calls) {
		const rows = threads[call.thread];
		const stack = open[call.thread];
		while (stack.length && (stack[stack.length - 1].depth >= call.depth || stack[stack.length - 1].end < call.end))
			stack.pop();
		const known = stack.length ? stack[stack.length - 1].depth : 0;
		let path = call.path;
		for (let depth = call.depth - 1; depth > known; depth--) {
			path = paths.parent[path];
			const row = rows[depth - 1] = rows[depth - 1] || [];
			const last = row[row.length - 1];
			if (last && last.ghost && last.path === path)
				last.end = Math.max(last.end, call.end);
			else
				row.push({ ...call, path, depth, ghost: true });
		}
		(rows[call.depth - 1] = rows[call.depth - 1] || []).push(call);
		stack.push(call);
	}
	for (const rows of threads)
		for (let i = 0; i < rows.length; i++)
			rows[i] = rows[i] || [];
	return threads;
})();

/* Of one row, the index of the first call that ends after `ns`; calls of a row do not overlap. */
function firstInRow(row, ns) {
	let low = 0, high = row.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (row[middle].end >= ns)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

function xOf(ns, width) {
	return (ns - view.from) / (view.to - view.from) * width;
}

function nsOf(x, width) {
	return view.from + x / width * (view.to - view.from);
}

/*
 * Steps: where the curve rises or falls steeply, as mtdump timeline has them: pieces of time that go on about as
 * steeply are one step.
 */
const steps = (() => {
	const PIECES = 256, RATIO = 4;
	const found = [];
	for (const falling of [false, true]) {
		const sizes = new Float64Array(PIECES), members = Array.from({ length: PIECES }, () => []);
		for (const move of moves) {
			const size = falling ? move.released + move.unsureReleased : move.grown + move.unsureGrown;
			const piece = Math.min(PIECES - 1, Math.floor((move.begin - BEGIN) / (END - BEGIN) * PIECES));
			if (!size || piece < 0)
				continue;
			sizes[piece] += size;
			members[piece].push({ move, size });
		}
		let step = null;
		for (let i = 0; i < PIECES; i++) {
			if (!sizes[i]) {
				step = null;
				continue;
			}
			const mean = step ? step.size / step.pieces : 0;
			if (!step || sizes[i] > RATIO * mean || mean > RATIO * sizes[i])
				found.push(step = { falling, size: 0, pieces: 0, members: [] });
			step.size += sizes[i];
			step.pieces++;
			step.members.push(...members[i]);
		}
	}
	for (const step of found) {
		/* A step is noticed when it is over: the call that made it began before. */
		step.begin = Math.min(...step.members.map(member => member.move.begin));
		step.end = Math.max(...step.members.map(member => member.move.end));
		const byPath = new Map();
		for (const { move, size } of step.members)
			if (move.path >= 0)
				byPath.set(move.path, (byPath.get(move.path) || 0) + size);
		step.path = [...byPath].reduce((most, one) => one[1] > most[1] ? one : most, [-1, 0])[0];
	}
	return found.sort((a, b) => b.size - a.size || a.begin - b.begin).slice(0, 12);
})();

/*
 * Drawing
 */

function drawBand(context, width, height) {
	if (!chosen.range)
		return;
	const x0 = xOf(chosen.range[0], width), x1 = xOf(chosen.range[1], width);
	const from = Math.max(-2, x0), to = Math.min(width + 2, Math.max(x1, x0 + 3));
	if (to < 0 || from > width)
		return;
	context.fillStyle = colours.band;
	context.fillRect(from, 0, to - from, height);
	context.fillStyle = colours["band-edge"];
	context.fillRect(from, 0, 1, height);
	context.fillRect(to - 1, 0, 1, height);
}

/* The lowest and highest figure of each column of pixels; where a column has none, the one before goes on. */
function curveColumns(width) {
	const columns = Math.max(1, Math.floor(width));
	const low = new Float64Array(columns), high = new Float64Array(columns), last = new Float64Array(columns);
	let at = after(points.ns, view.from);
	let figure = points.rss.length ? points.rss[Math.max(0, at - 1)] : 0;
	for (let i = 0; i < columns; i++) {
		const end = i === columns - 1 ? view.to : nsOf(i + 1, columns);
		low[i] = high[i] = figure;
		for (; at < points.ns.length && points.ns[at] <= end; at++) {
			figure = points.rss[at];
			low[i] = Math.min(low[i], figure);
			high[i] = Math.max(high[i], figure);
		}
		last[i] = figure;
	}
	return { columns, low, high, last };
}

function drawCurve() {
	const width = curveCanvas.clientWidth;
	const height = innerWidth <= 640 ? 160 : 190;
	const foot = 20, head = 6;
	if (!width)
		return;
	const context = prepareCanvas(curveCanvas, width, height);
	const { columns, low, high, last } = curveColumns(width);
	let bottom = Infinity, top = -Infinity;
	for (let i = 0; i < columns; i++) {
		bottom = Math.min(bottom, low[i]);
		top = Math.max(top, high[i]);
	}
	const room = Math.max((top - bottom) * 0.06, PAGE_BYTES);
	bottom = Math.max(0, bottom - room);
	top += room;
	const yOf = rss => head + (top - rss) / (top - bottom) * (height - foot - head);

	context.lineWidth = 1;
	context.strokeStyle = colours.line;
	context.fillStyle = colours.dim;
	const bytes = ticks(bottom, top, 4, 2);
	for (const rss of bytes) {
		const y = Math.round(yOf(rss)) + 0.5;
		context.beginPath();
		context.moveTo(0, y);
		context.lineTo(width, y);
		context.stroke();
	}
	context.beginPath();
	context.moveTo(0, yOf(low[0]));
	for (let i = 0; i < columns; i++) {
		context.lineTo(i, yOf(high[i]));
		context.lineTo(i + 1, yOf(last[i]));
	}
	context.lineTo(width, height - foot);
	context.lineTo(0, height - foot);
	context.fillStyle = colours.area;
	context.fill();
	context.strokeStyle = colours.curve;
	context.lineWidth = 1.5;
	context.beginPath();
	for (let i = 0; i < columns; i++) {
		const first = i ? last[i - 1] : low[i];
		if (!i)
			context.moveTo(0, yOf(first));
		/* To whichever extreme is further from where the column ends, so that it is one line. */
		const lowFirst = Math.abs(last[i] - low[i]) > Math.abs(last[i] - high[i]);
		context.lineTo(i + 0.5, yOf(lowFirst ? low[i] : high[i]));
		context.lineTo(i + 0.5, yOf(lowFirst ? high[i] : low[i]));
		context.lineTo(i + 0.5, yOf(last[i]));
	}
	context.lineTo(width, yOf(last[columns - 1]));
	context.stroke();
	context.lineWidth = 1;

	if (DATA.peak && DATA.peak.time_ns >= view.from && DATA.peak.time_ns <= view.to) {
		const x = xOf(DATA.peak.time_ns, width);
		const y = yOf(DATA.peak.rss_bytes);
		context.fillStyle = colours.grown;
		context.beginPath();
		context.arc(x, y, 3.5, 0, 7);
		context.fill();
		context.textAlign = x > width / 2 ? "right" : "left";
		/* Beside the line, not on it. */
		context.fillText("peak " + sayBytes(DATA.peak.rss_bytes), x + (x > width / 2 ? -6 : 6), y < head + 16 ? y + 11 : y - 9);
	}
	drawBand(context, width, height - foot);
	context.fillStyle = colours.dim;
	context.textAlign = "left";
	for (const rss of bytes)
		if (yOf(rss) > 14)
			context.fillText(sayBytes(rss, false, bytes.length > 1 ? bytes[1] - bytes[0] : 0), 4, yOf(rss) - 7);
	drawTimeAxis(context, width, height, foot);
}

function drawTimeAxis(context, width, height, foot) {
	const span = view.to - view.from;
	const list = ticks(view.from, view.to, Math.max(3, width / 110), 10);
	const step = list.length > 1 ? list[1] - list[0] : span;
	const decimals = Math.min(9, Math.max(0, Math.ceil(9 - Math.log10(Math.max(step, 1)) - 1e-9)));
	context.textAlign = "center";
	context.fillStyle = colours.dim;
	context.strokeStyle = colours.line;
	for (const ns of list) {
		const x = xOf(ns, width);
		context.fillRect(Math.round(x), height - foot, 1, 4);
		if (x > 28 && x < width - 28)
			context.fillText((ns / 1e9).toFixed(decimals) + " s", x, height - foot / 2 + 2);
	}
	context.textAlign = "left";
}

function drawCalls() {
	const width = rowsBox.clientWidth, height = rowsBox.clientHeight;
	if (!width || !height)
		return;
	const rows = threadRows[view.thread] || [];
	rowsInner.style.height = Math.max(rows.length * ROW + 6, height) + "px";
	const context = prepareCanvas(callsCanvas, width, height);
	const top = rowsBox.scrollTop;
	const first = Math.max(0, Math.floor(top / ROW)), end = Math.min(rows.length, Math.ceil((top + height) / ROW));
	for (let i = first; i < end; i++)
		drawRow(context, rows[i], i * ROW - top, width);
	drawBand(context, width, height);
	if (chosen.call && chosen.call.thread === view.thread) {
		const x = xOf(chosen.call.begin, width);
		outline(context, x + 1, (chosen.call.depth - 1) * ROW - top + 1, Math.max(xOf(chosen.call.end, width) - x - 1, 3));
	}
	if (!rows.length) {
		context.fillStyle = colours.dim;
		context.fillText("No calls of this thread are kept here.", 8, 16);
	}
}

/* Calls narrower than a pixel that follow one another are one. */
function drawRow(context, row, y, width) {
	let drawn = -1;
	for (let i = firstInRow(row, view.from); i < row.length && row[i].begin <= view.to; i++) {
		const call = row[i];
		const x0 = Math.max(xOf(call.begin, width), -2), x1 = Math.min(xOf(call.end, width), width + 2);
		if (x1 - drawn < 0.5)
			continue;
		const number = paths.function[call.path];
		drawFrame(context, x0, y, x1 - x0, number, { ghost: call.ghost });
		if (!call.ghost && call.change && x1 - x0 > 1) {
			context.fillStyle = call.change > 0 ? colours.grown : colours.released;
			context.fillRect(x0, y + ROW - 4, Math.max(x1 - x0 - 1, 1), 3);
		}
		drawn = x1;
	}
}

const redrawTime = onceAFrame(() => {
	drawCurve();
	drawCalls();
	const span = view.to - view.from;
	byId("view").textContent = sayMoment(view.from, span) + " to " + sayMoment(view.to, span) + " (" + sayTime(span) + ")";
});

/*
 * Moving
 */

function setView(from, to) {
	const span = Math.min(Math.max(to - from, SMALLEST_VIEW), END - BEGIN);
	from = Math.min(Math.max(from, BEGIN), END - span);
	view.from = from;
	view.to = from + span;
	redrawTime();
}

function zoom(factor, around = (view.from + view.to) / 2) {
	setView(around - (around - view.from) * factor, around + (view.to - around) * factor);
}

function pan(share) {
	const by = (view.to - view.from) * share;
	setView(view.from + by, view.to + by);
}

function setThread(thread) {
	view.thread = thread;
	byId("thread").value = String(thread);
	rowsBox.scrollTop = 0;
	redrawTime();
}

/* Bring a span into sight, with what is around it; `least` of that. */
function reveal(from, to, least = SMALLEST_VIEW) {
	const inside = from >= view.from && to <= view.to && to - from > (view.to - view.from) / 200;
	if (inside)
		return;
	const around = Math.max((to - from) * 1.5, least);
	setView(from - around, to + around);
}

function revealCall(call) {
	if (call.thread !== view.thread)
		setThread(call.thread);
	reveal(call.begin, call.end);
	revealRow(call);
}

function revealRow(call) {
	const top = (call.depth - 1) * ROW;
	if (top < rowsBox.scrollTop || top + ROW > rowsBox.scrollTop + rowsBox.clientHeight)
		rowsBox.scrollTop = Math.max(0, top - rowsBox.clientHeight / 2);
}

/* Choose a call (its time is the range), a range, or nothing. */
function choose({ call = null, range = null, step = -1 }) {
	chosen.call = call;
	chosen.range = call ? [call.begin, call.end] : range;
	chosen.step = step;
	redrawTime();
	showPanel();
	[...byId("steps").children].forEach((chip, i) => chip.setAttribute("aria-pressed", String(i === step)));
}

function chooseStep(number) {
	const step = steps[number];
	const call = step.path > 0 ? callOf(step.path, step.begin, step.end) : null;
	if (call && call.thread !== view.thread)
		setThread(call.thread);
	if (call)
		revealRow(call);
	reveal(step.begin, step.end, Math.max(call ? Math.min(call.end - call.begin, (END - BEGIN) / 4) : 0, (END - BEGIN) / 1000));
	choose({ range: [step.begin, step.end], step: number });
	byId("steps").children[number].scrollIntoView({ block: "nearest", inline: "nearest" });
}

/* Steps in order of time from where the choice is. */
function nextStep(direction) {
	if (!steps.length)
		return;
	const order = steps.map((step, i) => i).sort((a, b) => steps[a].begin - steps[b].begin);
	const here = order.indexOf(chosen.step);
	chooseStep(order[here < 0 ? (direction > 0 ? 0 : order.length - 1) : (here + direction + order.length) % order.length]);
}

/*
 * The call that stands for a path in a span of time: of those of the path itself, or else of its callers, the one that moved
 * most there.
 */
function callOf(path, from = BEGIN, to = END) {
	for (let at = path; at > 0; at = paths.parent[at]) {
		let best = null;
		for (const call of calls)
			if (call.path === at && call.end >= from && call.begin <= to &&
			    (!best || call.moved > best.moved || (call.moved === best.moved && call.end - call.begin > best.end - best.begin)))
				best = call;
		if (best)
			return best;
	}
	return null;
}

/* Who moved RSS in a span, largest first; what overlaps its ends counts whole. */
function moversIn(from, to) {
	const byPath = new Map();
	for (const move of moves) {
		if (move.end < from || move.begin > to)
			continue;
		let sum = byPath.get(move.path);
		if (!sum)
			byPath.set(move.path, sum = { path: move.path, grown: 0, released: 0, unsureGrown: 0, unsureReleased: 0 });
		for (const key of ["grown", "released", "unsureGrown", "unsureReleased"])
			sum[key] += move[key];
	}
	const size = sum => sum.grown + sum.released + sum.unsureGrown + sum.unsureReleased;
	return [...byPath.values()].sort((a, b) => size(b) - size(a));
}

/* Up, down, left and right from the chosen call. */
function neighbour(key) {
	const call = chosen.call;
	/* Of its thread, which need not be the one that is shown. */
	const rows = threadRows[call.thread];
	const row = rows[call.depth - 1];
	if (key === "ArrowUp" && call.depth > 1)
		return rows[call.depth - 2].find(other => other.begin <= call.begin && other.end >= call.end);
	if (key === "ArrowDown" && rows[call.depth]) {
		const below = rows[call.depth];
		let longest = null;
		for (let i = firstInRow(below, call.begin); i < below.length && below[i].end <= call.end; i++)
			if (below[i].begin >= call.begin && (!longest || below[i].end - below[i].begin > longest.end - longest.begin))
				longest = below[i];
		return longest;
	}
	const at = row.indexOf(call);
	return key === "ArrowLeft" ? row[at - 1] : key === "ArrowRight" ? row[at + 1] : null;
}

/*
 * Mouse and fingers
 */

function callAt(event) {
	const box = rowsBox.getBoundingClientRect();
	const row = (threadRows[view.thread] || [])[Math.floor((event.clientY - box.top + rowsBox.scrollTop) / ROW)];
	if (!row)
		return null;
	const width = rowsBox.clientWidth;
	const ns = nsOf(event.clientX - box.left, width), pixel = (view.to - view.from) / width;
	let best = null;
	for (let i = firstInRow(row, ns - 2 * pixel); i < row.length && row[i].begin <= ns + 2 * pixel; i++) {
		const call = row[i];
		const distance = Math.max(call.begin - ns, ns - call.end, 0);
		if (!best || distance < best.distance || (distance === best.distance && call.end - call.begin > best.call.end - best.call.begin))
			best = { call, distance };
	}
	return best && best.call;
}

function callText(call) {
	const number = paths.function[call.path];
	return functionName(number) + "\n" + (functionFile(number) ? functionFile(number) + "\n" : "") +
		(call.ghost ? "shown for what it calls" :
		 sayTime(call.end - call.begin) + ", RSS " + sayBytes(call.rss) + " " + sayBytes(call.change, true));
}

/* Fingers (or the mouse) that are down on an element, and what their moving means: one pans or brushes, two zoom. */
function pointers(element, { down, drag, up, hover }) {
	const held = new Map();
	let spread = 0;
	const distance = () => {
		const [a, b] = [...held.values()];
		return Math.max(1, Math.abs(a.clientX - b.clientX));
	};
	element.addEventListener("pointerdown", event => {
		const box = element.getBoundingClientRect();
		const right = box.right - event.clientX, bottom = box.bottom - event.clientY;
		/* Not its scroll bar, and not the corner that makes it higher. */
		if (event.button || right < box.width - element.clientLeft - element.clientWidth || (right < 16 && bottom < 16))
			return;
		held.set(event.pointerId, event);
		element.setPointerCapture(event.pointerId);
		showTip(event, "");
		if (held.size === 2)
			spread = distance();
		else
			down(event);
	});
	element.addEventListener("pointermove", event => {
		const before = held.get(event.pointerId);
		if (!before) {
			hover(event);
			return;
		}
		held.set(event.pointerId, event);
		if (held.size === 2) {
			const now = distance();
			const [a, b] = [...held.values()];
			const box = element.getBoundingClientRect();
			zoom(spread / now, nsOf((a.clientX + b.clientX) / 2 - box.left, box.width));
			spread = now;
		} else {
			drag(event, event.clientX - before.clientX);
		}
	});
	const end = event => {
		const was = held.size;
		if (held.delete(event.pointerId) && was === 1)
			up(event);
	};
	element.addEventListener("pointerup", end);
	element.addEventListener("pointercancel", event => held.delete(event.pointerId));
	element.addEventListener("pointerleave", event => showTip(event, ""));
}

function startTimeline() {
	let from = null, moved = 0;
	const nsAt = event => {
		const box = curveCanvas.getBoundingClientRect();
		return Math.min(Math.max(nsOf(event.clientX - box.left, box.width), view.from), view.to);
	};
	pointers(curveCanvas, {
		down: event => { from = nsAt(event); },
		drag: event => {
			chosen.range = [Math.min(from, nsAt(event)), Math.max(from, nsAt(event))];
			chosen.call = null;
			redrawTime();
		},
		up: event => {
			const to = nsAt(event);
			/* A click is a span of a few pixels. */
			const least = (view.to - view.from) / curveCanvas.clientWidth * 3;
			choose({ range: Math.abs(to - from) < least ? [to - least, to + least] : [Math.min(from, to), Math.max(from, to)] });
		},
		hover: event => showTip(event, sayMoment(nsAt(event), view.to - view.from) + ", RSS " + sayBytes(rssAt(nsAt(event)))),
	});
	pointers(rowsBox, {
		down: () => { moved = 0; },
		drag: (event, by) => {
			moved += Math.abs(by);
			if (moved > 4)
				pan(-by / rowsBox.clientWidth);
		},
		up: event => {
			const call = moved > 4 ? null : callAt(event);
			if (call)
				choose({ call });
		},
		hover: event => {
			const call = callAt(event);
			showTip(event, call ? callText(call) : "");
		},
	});
	rowsBox.addEventListener("dblclick", () => chosen.call && setView(chosen.call.begin, chosen.call.end));
	rowsBox.addEventListener("scroll", redrawTime);
	const wheel = (element, needsKey) => element.addEventListener("wheel", event => {
		const box = element.getBoundingClientRect();
		const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
		if (sideways && Math.abs(sideways) >= Math.abs(event.deltaY) * (event.shiftKey ? 0 : 1)) {
			pan(sideways / box.width);
		} else if (!needsKey || event.ctrlKey || event.metaKey) {
			zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), nsOf(event.clientX - box.left, box.width));
		} else {
			return;
		}
		event.preventDefault();
	}, { passive: false });
	wheel(curveCanvas, false);
	wheel(rowsBox, true);

	const select = byId("thread");
	DATA.threads.forEach((thread, i) => select.append(make("option", { value: String(i) }, thread.name)));
	select.addEventListener("change", () => setThread(Number(select.value)));
	/* The thread that moved most is the one to begin with. */
	const size = thread => thread.grown_bytes + thread.released_bytes;
	DATA.threads.forEach((thread, i) => {
		if (size(thread) > size(DATA.threads[view.thread]))
			view.thread = i;
	});
	select.value = String(view.thread);

	steps.forEach((step, i) => {
		const who = step.path >= 0 ? pathName(step.path) : "several";
		byId("steps").append(make("button", { className: "step", onclick: () => chooseStep(i) },
			make("span", { className: step.falling ? "released" : "grown" }, sayBytes(step.falling ? -step.size : step.size, true)),
			" at " + sayMoment(step.begin) + " " + (who.length > 36 ? who.slice(0, 35) + "\u2026" : who)));
	});
	if (!steps.length)
		byId("steps").append(make("span", { className: "dim" }, "RSS did not move."));
	byId("zoom-in").onclick = () => zoom(0.5);
	byId("zoom-out").onclick = () => zoom(2);
	byId("zoom-all").onclick = () => setView(BEGIN, END);
	byId("zoom-range").onclick = () => chosen.range && setView(...chosen.range);
	const resized = new ResizeObserver(redrawTime);
	resized.observe(byId("time"));
	resized.observe(rowsBox);
}
