/*
 * What the charts share: a canvas as sharp as the screen, colours of the theme, frames with names in them, and the
 * line of text beside the pointer.
 */

const ROW = 19;         /* pixels of a row of frames */
const FONT = '12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

let colours = {};

function readColours() {
	const style = getComputedStyle(document.documentElement);
	for (const name of ["back", "panel", "text", "dim", "line", "accent", "curve", "area", "band", "band-edge", "grown", "released",
			    "uncertain", "frame-text", "light", "colour", "hatch"])
		colours[name] = style.getPropertyValue("--" + name).trim();
	colours.frames = new Map();
}

/* The context of a canvas that is `width` x `height` CSS pixels. */
function prepareCanvas(canvas, width, height) {
	const ratio = Math.min(window.devicePixelRatio || 1, 3);
	if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
		canvas.width = Math.round(width * ratio);
		canvas.height = Math.round(height * ratio);
	}
	canvas.style.height = height + "px";
	const context = canvas.getContext("2d");
	context.setTransform(ratio, 0, 0, ratio, 0, 0);
	context.clearRect(0, 0, width, height);
	context.font = FONT;
	context.textBaseline = "middle";
	return context;
}

/* Functions of one file have neighbouring hues, so that modules can be told apart at a glance. */
function frameColour(number) {
	let colour = colours.frames.get(number);
	if (!colour) {
		const hash = text => {
			let sum = 2166136261;
			for (let i = 0; i < text.length; i++)
				sum = Math.imul(sum ^ text.charCodeAt(i), 16777619);
			return sum >>> 0;
		};
		const file = DATA.files[functions.file[number]] || "";
		const hue = (hash(file) % 360 + hash(functionName(number)) % 36) % 360;
		colour = "hsl(" + hue + " " + colours.colour + " " + colours.light + ")";
		colours.frames.set(number, colour);
	}
	return colour;
}

const widths = new Map();       /* of letters, so that no text is measured twice */

function textWidth(context, text) {
	let sum = 0;
	for (const letter of text) {
		let width = widths.get(letter);
		if (width === undefined)
			widths.set(letter, width = context.measureText(letter).width);
		sum += width;
	}
	return sum;
}

/* As much of `text` as `room` pixels have room for. */
function fitText(context, text, room) {
	if (room < 14)
		return "";
	if (textWidth(context, text) <= room)
		return text;
	let sum = textWidth(context, "\u2026"), size = 0;
	for (const letter of text) {
		sum += textWidth(context, letter);
		if (sum > room)
			break;
		size += letter.length;
	}
	return size ? text.slice(0, size) + "\u2026" : "";
}

function drawFrame(context, x, y, width, number, { ghost = false, faded = false, name = functionName(number) } = {}) {
	const room = Math.max(width - (width > 3 ? 1 : 0), 0.6);
	context.globalAlpha = ghost ? 0.35 : faded ? 0.3 : 1;
	context.fillStyle = frameColour(number);
	context.fillRect(x, y, room, ROW - 1);
	context.globalAlpha = 1;
	if (ghost && width > 6)
		hatch(context, x, y, room);
	const left = Math.max(x, 0);
	const text = fitText(context, name, Math.min(x + width, context.canvas.clientWidth) - left - 8);
	if (text) {
		context.globalAlpha = faded ? 0.5 : 1;
		context.fillStyle = colours["frame-text"];
		context.fillText(text, left + 4, y + ROW / 2 - 1.5);
		context.globalAlpha = 1;
	}
}

function hatch(context, x, y, width) {
	context.save();
	context.beginPath();
	context.rect(x, y, width, ROW - 1);
	context.clip();
	context.strokeStyle = colours.hatch;
	context.beginPath();
	const from = Math.max(x, 0), to = Math.min(x + width, 8192);
	for (let at = from - from % 8 - ROW; at < to; at += 8) {
		context.moveTo(at, y + ROW);
		context.lineTo(at + ROW, y);
	}
	context.stroke();
	context.restore();
}

function outline(context, x, y, width) {
	context.strokeStyle = colours.text;
	context.lineWidth = 2;
	context.strokeRect(x, y, Math.max(width - 1, 2), ROW - 2);
	context.lineWidth = 1;
}

const tip = byId("tip");

function showTip(event, text) {
	tip.hidden = !text;
	if (!text)
		return;
	tip.textContent = text;
	const box = tip.getBoundingClientRect();
	tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 4)) + "px";
	tip.style.top = (event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 8 : event.clientY + 18) + "px";
}

/* Draw once before the next picture, however often it is asked for. */
function onceAFrame(draw) {
	let waiting = false;
	return () => {
		if (waiting)
			return;
		waiting = true;
		requestAnimationFrame(() => {
			waiting = false;
			draw();
		});
	};
}

const TICKS_MAX = 100;

/*
 * Round steps of an axis: about `count` between `from` and `to`; `base` 2 for bytes. They have an end even where numbers are so
 * large that a step does not change them.
 */
function ticks(from, to, count, base) {
	const rough = Math.max((to - from) / Math.max(count, 1), 1e-9);
	let step;
	if (base === 2) {
		step = 2 ** Math.ceil(Math.log2(rough));
	} else {
		const power = 10 ** Math.floor(Math.log10(rough));
		step = [1, 2, 5, 10].find(factor => factor * power >= rough) * power;
	}
	const list = [];
	for (let at = Math.ceil(from / step) * step; at <= to && list.length < TICKS_MAX; at += step)
		list.push(at);
	return list;
}
