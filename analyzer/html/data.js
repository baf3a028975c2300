"use strict";
/*
 * The figures of the trace, as mtdump wrote them (analyzer/page.c), and how they are said.
 *
 * Columns of numbers become arrays of the same length; bytes of RSS come in pages of memory, times that grow as differences.
 * Whatever is a name goes into the page as text (textContent), never as markup.
 */

const DATA = JSON.parse(document.getElementById("data").textContent);
const PAGE_BYTES = DATA.page_bytes;
const BEGIN = DATA.begin_ns;
const END = Math.max(DATA.end_ns, BEGIN + 1);

function summed(differences) {
	const values = new Float64Array(differences.length);
	let sum = 0;
	for (let i = 0; i < values.length; i++)
		values[i] = sum += differences[i];
	return values;
}

function inBytes(pages) {
	return Float64Array.from(pages, value => value * PAGE_BYTES);
}

/* Of sorted `values`, the index of the first that is > `value`. */
function after(values, value) {
	let low = 0, high = values.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (values[middle] > value)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const functions = (() => {
	const from = DATA.functions;
	const bytes = {};
	for (const key of ["own_grown", "own_released", "own_uncertain", "grown", "released"])
		bytes[key] = inBytes(from[key]);
	return { ...from, ...bytes, count: from.name.length };
})();

const paths = (() => {
	const from = DATA.paths;
	const count = from.parent.length;
	const parent = new Int32Array(count);
	const depth = new Int32Array(count);
	const children = Array.from({ length: count }, () => []);
	for (let i = 1; i < count; i++) {
		parent[i] = i - from.parent[i];
		depth[i] = depth[parent[i]] + 1;
		children[parent[i]].push(i);
	}
	const bytes = {};
	for (const key of ["grown", "released", "uncertain", "own_grown", "own_released"])
		bytes[key] = inBytes(from[key]);
	return { ...from, ...bytes, parent, depth, children, count };
})();

const moves = (() => {
	const from = DATA.moves;
	const begin = summed(from.time_ns);
	const moves = [];
	for (let i = 0; i < begin.length; i++)
		moves.push({
			path: from.path[i], begin: begin[i], end: begin[i] + from.length_ns[i],
			grown: from.grown[i] * PAGE_BYTES, released: from.released[i] * PAGE_BYTES,
			unsureGrown: from.uncertain_grown[i] * PAGE_BYTES, unsureReleased: from.uncertain_released[i] * PAGE_BYTES,
		});
	return moves;
})();

/* By thread, then by begin, callers first. */
const calls = (() => {
	const from = DATA.calls;
	const begin = summed(from.time_ns);
	const rss = summed(from.rss);
	const calls = [];
	for (let i = 0; i < begin.length; i++)
		calls.push({
			thread: from.thread[i], path: from.path[i], begin: begin[i], end: begin[i] + from.length_ns[i],
			rss: rss[i] * PAGE_BYTES, change: from.change[i] * PAGE_BYTES, moved: from.moved[i] * PAGE_BYTES,
			depth: paths.depth[from.path[i]], ghost: false,
		});
	return calls;
})();

/*
 * The curve: what was kept of it for itself, and both ends of every call, which are points of it too and are denser
 * where one may look closer.
 */
const points = (() => {
	const ns = summed(DATA.points.time_ns);
	const rss = summed(DATA.points.rss);
	const all = [];
	for (let i = 0; i < ns.length; i++)
		all.push([ns[i], rss[i] * PAGE_BYTES]);
	for (const call of calls)
		all.push([call.begin, call.rss], [call.end, call.rss + call.change]);
	all.sort((a, b) => a[0] - b[0]);
	return { ns: Float64Array.from(all, point => point[0]), rss: Float64Array.from(all, point => point[1]) };
})();

/* RSS at a time, or where the curve begins. */
function rssAt(ns) {
	const at = after(points.ns, ns);
	return points.rss.length ? points.rss[Math.max(0, at - 1)] : 0;
}

/*
 * Words
 */

/* `step`: with as many decimals as two figures need that are so far apart. */
function sayBytes(bytes, signed = false, step = 0) {
	const sign = bytes < 0 ? "\u2212" : signed && bytes > 0 ? "+" : "";
	let value = Math.abs(bytes), unit = 0;
	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	const digits = step ? Math.min(6, Math.max(0, Math.ceil(unit * Math.log10(1024) - Math.log10(step) - 1e-9)))
		: unit && value < 100 ? 1 : 0;
	return sign + value.toFixed(digits) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][unit];
}

function sayTime(ns) {
	const units = [[1e9, "s"], [1e6, "ms"], [1e3, "\u00b5s"]];
	if (ns >= 60e9) {
		const seconds = Math.round(ns / 1e9);
		const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
		return hours ? hours + " h " + minutes + " min" : minutes + " min " + seconds % 60 + " s";
	}
	for (const [size, unit] of units)
		if (ns >= size)
			return (ns / size).toFixed(ns / size < 10 ? 2 : 1) + " " + unit;
	return Math.round(ns) + " ns";
}

/* A moment, since the recording began, with as many decimals as a span of `span` ns needs. */
function sayMoment(ns, span = END - BEGIN) {
	const decimals = Math.min(9, Math.max(0, Math.ceil(10 - Math.log10(Math.max(span, 1)) + 1)));
	return (ns / 1e9).toFixed(decimals) + " s";
}

function sayCount(count) {
	return count.toLocaleString("en-US");
}

function functionName(number) {
	return functions.name[number];
}

/* "cache.py:12"; of C what it belongs to is in its name. */
function functionPlace(number) {
	const file = DATA.files[functions.file[number]];
	if (!file)
		return "";
	return file.slice(file.lastIndexOf("/") + 1) + (functions.line[number] ? ":" + functions.line[number] : "");
}

function functionFile(number) {
	const file = DATA.files[functions.file[number]];
	return file ? file + (functions.line[number] ? ":" + functions.line[number] : "") : "";
}

function pathName(path) {
	return functionName(paths.function[path]);
}

/* The path's functions, outermost first, without the root. */
function pathList(path) {
	const list = [];
	for (let i = path; i > 0; i = paths.parent[i])
		list.unshift(i);
	return list;
}

/*
 * Elements
 */

function byId(id) {
	return document.getElementById(id);
}

/* make("p", { className: "dim" }, "text", element, ...) */
function make(tag, properties = {}, ...children) {
	const element = Object.assign(document.createElement(tag), properties);
	element.append(...children);
	return element;
}
