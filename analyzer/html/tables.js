/*
 * Tables that sort by any of their columns: functions, growth, threads.
 */

const ROWS_FIRST = 200;

/*
 * Fill `table` with rows [{ ... }] by `columns` [{ title, value(row), cell(row), name }]: what it sorts by, and what it shows
 * (an element or a text). State is kept in `state`: { by, up, count }.
 */
function fillTable(table, columns, rows, state, chosenRow) {
	const by = columns[state.by];
	const sorted = [...rows].sort((a, b) => {
		const x = by.value(a), y = by.value(b);
		const order = typeof x === "string" ? x.localeCompare(y) : x - y;
		return state.up ? order : -order;
	});
	const head = make("tr");
	columns.forEach((column, i) => {
		const cell = make("th", { className: column.name ? "name" : "", scope: "col" },
			make("button", {
				onclick: () => {
					state.up = state.by === i ? !state.up : Boolean(column.name);
					state.by = i;
					fillTable(table, columns, rows, state, chosenRow);
				},
			}, column.title + (state.by === i ? state.up ? " \u25b2" : " \u25bc" : "")));
		cell.setAttribute("aria-sort", state.by === i ? state.up ? "ascending" : "descending" : "none");
		head.append(cell);
	});
	const body = make("tbody");
	for (const row of sorted.slice(0, state.count)) {
		const line = make("tr", { className: row === chosenRow ? "chosen" : "" });
		for (const column of columns)
			line.append(make("td", { className: (column.name ? "name " : "") + (column.colour || "") }, column.cell(row)));
		body.append(line);
	}
	table.replaceChildren(make("thead", {}, head), body);
}

function functionCell(number, onclick) {
	const cell = make("span", {}, make("button", { onclick, title: functionFile(number) }, functionName(number)));
	const place = functionPlace(number);
	if (place)
		cell.append(make("span", { className: "place" }, place));
	return cell;
}

function bytesColumn(title, value, colour) {
	return { title, value, colour, cell: row => value(row) ? sayBytes(value(row)) : "" };
}

function timeColumn(title, value) {
	return { title, value, cell: row => sayTime(value(row)) };
}

function countColumn(title, value) {
	return { title, value, cell: row => sayCount(value(row)) };
}

/*
 * Functions
 */

const functionRows = Array.from({ length: functions.count }, (nothing, i) => i);
const functionState = { by: 2, up: false, count: ROWS_FIRST };
const functionColumns = [
	{ title: "Function", name: true, value: functionName, cell: i => functionCell(i, () => showFunction(i)) },
	countColumn("Calls", i => functions.calls[i]),
	bytesColumn("Grown, with callees", i => functions.grown[i]),
	bytesColumn("Grown itself", i => functions.own_grown[i], "grown"),
	bytesColumn("Released, with callees", i => functions.released[i]),
	bytesColumn("Released itself", i => functions.own_released[i], "released"),
	bytesColumn("Uncertain", i => functions.own_uncertain[i], "uncertain"),
	timeColumn("Time", i => functions.time_ns[i]),
	timeColumn("Time itself", i => functions.own_time_ns[i]),
];

function showFunctions(chosenFunction = -1) {
	const words = byId("search").value.toLowerCase().split(" ").filter(word => word);
	const found = functionRows.filter(i => {
		const text = (functionName(i) + " " + functionFile(i)).toLowerCase();
		return words.every(word => text.includes(word));
	});
	const shown = Math.min(found.length, functionState.count);
	byId("functions-note").textContent = sayCount(found.length) + (found.length < functions.count ? " found" : " functions") +
		(shown < found.length ? ", " + sayCount(shown) + " shown" : "") +
		(DATA.functions_all > functions.count + 3 ? "; the page has " + sayCount(functions.count) + " of " + sayCount(DATA.functions_all) : "");
	byId("functions-more").hidden = shown === found.length;
	fillTable(byId("functions-table"), functionColumns, found, functionState, chosenFunction);
}

/* Its call that moved most, on the curve. */
function showFunction(number) {
	let best = null;
	for (const call of calls)
		if (paths.function[call.path] === number && (!best || call.moved > best.moved ||
		    (call.moved === best.moved && call.end - call.begin > best.end - best.begin)))
			best = call;
	if (best)
		showCall(best);
	else
		byId("functions-note").textContent = "No call of " + functionName(number) + " is long or large enough to be kept here.";
}

/* The table, with this function found in it. */
function searchFunction(number) {
	byId("search").value = functionName(number);
	showTab("functions");
	showFunctions(number);
	byId("functions").scrollIntoView({ block: "nearest" });
}

/*
 * Growth
 */

const growthRows = DATA.growth.path.map((path, i) => ({
	path, i, named: DATA.growth.named[i], verdict: DATA.verdicts[DATA.growth.verdict[i]], calls: DATA.growth.calls[i],
	slope: DATA.growth.slope_milli[i] / 1000, low: DATA.growth.low_milli[i] / 1000, high: DATA.growth.high_milli[i] / 1000,
	own: DATA.growth.own_bytes[i], first: DATA.growth.first_bytes[i], mostly: DATA.growth.mostly[i],
}));
const growthState = { by: 4, up: false, count: ROWS_FIRST };
const growthColumns = [
	{ title: "Call path", name: true, value: row => pathName(row.path), cell: row => growthCell(row) },
	{ title: "Verdict", value: row => row.verdict, cell: row => row.verdict },
	bytesColumn("Kept per call", row => row.slope, "grown"),
	{ title: "95 % between", value: row => row.low, cell: row => sayBytes(row.low) + " and " + sayBytes(row.high) },
	bytesColumn("Grown", row => row.own, "grown"),
	countColumn("Calls", row => row.calls),
	bytesColumn("First call", row => row.first),
];

function growthCell(row) {
	const cell = functionCell(paths.function[row.path], () => {
		const call = callOf(row.path);
		if (call)
			showCall(call);
	});
	const callers = pathList(row.path).slice(-4, -1).map(pathName);
	cell.append(make("div", { className: "place dim" }, (callers.length ? "from " + callers.join(" > ") : "") +
		(row.mostly >= 0 ? "; mostly when it calls " + functionName(row.mostly) : "")));
	return cell;
}

function showGrowth() {
	const rows = byId("growth-all").checked ? growthRows : growthRows.filter(row => row.named);
	const named = growthRows.filter(row => row.named).length;
	byId("growth-note").textContent = (named ? named + (named === 1 ? " call path keeps" : " call paths keep") + " more with every call"
		: "No call path keeps growing") + "; " + sayCount(DATA.growth_judged) + " were called often enough to tell." +
		(DATA.growth_paths > growthRows.length ? " The first " + growthRows.length + " of " + DATA.growth_paths + " are here." : "");
	fillTable(byId("growth-table"), growthColumns, rows, growthState);
}

/*
 * Threads
 */

const threadState = { by: 2, up: false, count: Infinity };
const threadColumns = [
	{ title: "Thread", name: true, value: row => row.name, cell: row => make("button", {
		onclick: () => {
			setThread(DATA.threads.indexOf(row));
			byId("time").scrollIntoView({ block: "start" });
		},
	}, row.name) },
	countColumn("Calls", row => row.calls),
	bytesColumn("Grown", row => row.grown_bytes, "grown"),
	bytesColumn("Released", row => row.released_bytes, "released"),
	bytesColumn("Uncertain", row => row.uncertain_bytes, "uncertain"),
	timeColumn("Time", row => row.time_ns),
];

function startTables() {
	byId("search").addEventListener("input", () => {
		functionState.count = ROWS_FIRST;
		showFunctions();
	});
	byId("functions-more").onclick = () => {
		functionState.count *= 4;
		showFunctions();
	};
	byId("growth-all").addEventListener("change", showGrowth);
	showFunctions();
	showGrowth();
	fillTable(byId("threads-table"), threadColumns, DATA.threads, threadState);
}
