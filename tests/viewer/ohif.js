// Opens studies in OHIF in a headless Chromium, each wanted series in a page of its own, and writes
// what it saw of each study as JSON to stdout, screenshots to the study's folder. A study is its UID,
// its folder and its wanted series with commas between: UID=OUT=CT,SR. A series is wanted by its
// modality, or by modality and a word of its description: OT/cine.
// usage: node ohif.js PLAYWRIGHT CHROMIUM URL SECONDS STUDY...
'use strict';
const path = require('path');
const [playwright, chromium, url, seconds, ...studies] = process.argv.slice(2);
const patience = Number(seconds) * 1000;
// Milliseconds between two looks: at each frame, as is usual, a look that reads the canvas back would take
// more of a processor than the viewer does.
const polling = 250;

// The viewer's canvas is drawn by WebGL in software; the page around it costs half without.
const flags = ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
               '--disable-gpu-compositing', '--disable-gpu-rasterization'];

// Display sets as the viewer's own service lists them.
function displaySets() {
    const service = window.services && window.services.displaySetService;
    return service ? service.getActiveDisplaySets().map(set => ({
        uid: set.displaySetInstanceUID, modality: set.Modality, description: set.SeriesDescription,
        unsupported: Boolean(set.unsupported), images: (set.images || set.instances || []).length,
        series: set.SeriesInstanceUID,
    })) : [];
}

// Whether the viewer has laid out its viewports and put a series into the active one.
function hung() {
    const grid = window.services && window.services.viewportGridService;
    const {activeViewportId, viewports} = grid ? grid.getState() : {};
    const active = viewports && viewports.get(activeViewportId);
    return Boolean(active && (active.displaySetInstanceUIDs || []).length);
}

// What the viewports show now: texts and shapes of annotations, and words that mean trouble.
function shown() {
    const all = selector => Array.from(document.querySelectorAll(selector));
    const body = document.body.innerText;
    return {
        texts: all('svg.svg-layer text').map(t => Array.from(t.querySelectorAll('tspan'))
            .map(s => s.textContent).join('\n') || t.textContent),
        // Where each text lies in the viewport: left, top, right, bottom.
        places: all('svg.svg-layer text').map(t => {
            const box = t.getBoundingClientRect(), frame = t.closest('svg').getBoundingClientRect();
            return [box.left - frame.left, box.top - frame.top, box.right - frame.left, box.bottom - frame.top];
        }),
        width: Math.max(0, ...all('svg.svg-layer').map(s => s.getBoundingClientRect().width)),
        height: Math.max(0, ...all('svg.svg-layer').map(s => s.getBoundingClientRect().height)),
        shapes: all('svg.svg-layer path, svg.svg-layer polyline, svg.svg-layer line').length,
        canvases: all('.viewport-element canvas, .cornerstone-canvas').length,
        trouble: ['Something went wrong', 'Loading...'].filter(word => body.includes(word)),
    };
}

async function openStudy(context, study) {
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    const errors = [], said = [];
    page.on('pageerror', error => errors.push(String(error)));
    page.on('console', message => said.push(`${message.type()}: ${message.text()}`));
    await page.goto(`${url}/viewer?StudyInstanceUIDs=${study}`, {waitUntil: 'domcontentloaded'});
    await page.waitForSelector('[data-cy^="study-browser-thumbnail"]');
    // Before it has hung a first series, the viewer fails for good at a double click.
    await page.waitForFunction(hung, null, {timeout: patience, polling});
    const tour = page.getByText('Skip all'); // covers the page, sooner or later
    await page.addLocatorHandler(tour, () => tour.click());
    return {page, errors, said};
}

// The viewport alone.
async function pixels(page, file) {
    const viewport = page.locator('.viewport-element, .cornerstone-viewport-element').first();
    const box = await ((await viewport.count()) ? viewport : page.locator('#root')).boundingBox();
    await page.screenshot({path: file, clip: box});
}

// Whether the active viewport shows an image of the series (any, when it is empty), with more than a
// few bright pixels, and what is asked for besides: text over it, segments in colour.
function drawn({series, text, segments}) {
    const {viewportGridService, cornerstoneViewportService} = window.services;
    const viewport = cornerstoneViewportService.getCornerstoneViewport(
        viewportGridService.getActiveViewportId());
    const image = viewport && viewport.getCurrentImageId && viewport.getCurrentImageId();
    if (!image || !image.includes(series) || document.body.innerText.includes('Loading...'))
        return false;
    if (text && !document.querySelector('svg.svg-layer text'))
        return false;
    const {width, height} = viewport.canvas;
    const data = viewport.canvas.getContext('2d').getImageData(0, 0, width, height).data;
    let bright = 0, coloured = 0;
    for (let i = 0; i < data.length; i += 4) {
        const most = Math.max(data[i], data[i + 1], data[i + 2]);
        bright += most > 60;
        coloured += most - Math.min(data[i], data[i + 1], data[i + 2]) > 40;
    }
    return bright > width * height / 100 && (!segments || coloured > width * height / 100);
}

// Image and texts of the active viewport: changes when another measurement is shown.
function state() {
    const {viewportGridService, cornerstoneViewportService} = window.services;
    const viewport = cornerstoneViewportService.getCornerstoneViewport(
        viewportGridService.getActiveViewportId());
    const texts = Array.from(document.querySelectorAll('svg.svg-layer text'));
    return [viewport && viewport.getCurrentImageId(), ...texts.map(t => t.textContent)].join();
}

// Walks through the measurements of a report with the viewport's arrow. Two on one slice look alike:
// what has not changed in ten times as long as any change took so far does not change.
async function walk(page, uid, out) {
    const count = await page.evaluate(
        id => window.services.displaySetService.getDisplaySetByUID(id).measurements.length, uid);
    const steps = [];
    let longest = 500;
    for (let step = 0; step < count; step++) {
        await page.waitForFunction(drawn, {series: '', text: true}, {timeout: patience, polling});
        const screenshot = path.join(out, `ohif-sr-measurement-${step + 1}.png`);
        await page.screenshot({path: screenshot});
        steps.push({...await page.evaluate(shown), screenshot});
        if (step + 1 === count)
            break;
        const before = await page.evaluate(state);
        const start = Date.now();
        await page.locator('[data-cy="viewport-action-arrows-right"] svg').first().click();
        await page.waitForFunction(`(${state})() !== ${JSON.stringify(before)}`, null, {timeout: 10 * longest, polling: 50})
            .then(() => { longest = Math.max(longest, Date.now() - start); }, () => {});
    }
    return steps;
}

// A document is drawn by the browser, not by the viewer: what it looks like is all there is to see.
// Whether a share of its pixels is dark red, as the band over every page is.
async function paged(page, wait) {
    for (const end = Date.now() + wait; ;) {
        const element = page.locator('object[type="application/pdf"]').first();
        if (await element.count()) {
            const picture = (await page.screenshot({clip: await element.boundingBox()})).toString('base64');
            const red = await page.evaluate(async base64 => {
                const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
                const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
                context.drawImage(image, 0, 0);
                const data = context.getImageData(0, 0, image.width, image.height).data;
                let count = 0;
                for (let i = 0; i < data.length; i += 4)
                    count += data[i] > 120 && data[i + 1] < 60 && data[i + 2] < 60;
                return count / (image.width * image.height);
            }, picture);
            if (red > 0.005)
                return;
        }
        if (Date.now() > end)
            throw new Error('no page of the document is drawn');
        await page.waitForTimeout(polling);
    }
}

// One try to open a series by a double click. "opened": whether it is drawn within so many milliseconds.
async function trySeries(context, {study, out, wanted}, name, wait) {
    const {page, errors, said} = await openStudy(context, study);
    const [modality, word = ''] = name.split('/');
    const seen = {name, modality, errors, said, opened: false, sets: []};
    const file = name.toLowerCase().replace('/', '-');
    const find = `(${displaySets})().find(set => set.modality === '${modality}' && set.description.includes('${word}'))`;
    try {
        await page.waitForFunction(`(${displaySets})().length >= ${wanted.length} && ${find}`, null, {timeout: patience, polling});
        seen.sets = await page.evaluate(displaySets);
        const set = await page.evaluate(find);
        await page.locator(`[id="thumbnail-${set.uid}"]`).dblclick({timeout: wait});
        const report = modality === 'SR';
        const over = report || modality === 'SEG'; // drawn over the images it refers to
        await (modality === 'DOC' ? paged(page, wait) : page.waitForFunction(
            drawn, {series: over ? '' : set.series, text: report, segments: modality === 'SEG'}, {timeout: wait, polling}));
        seen.opened = true;
        Object.assign(seen, {set}, await page.evaluate(shown));
        seen.screenshot = path.join(out, `ohif-${file}.png`);
        seen.viewport = path.join(out, `ohif-${file}-viewport.png`);
        await page.screenshot({path: seen.screenshot});
        await pixels(page, seen.viewport);
        seen.steps = report ? await walk(page, set.uid, out) : [];
    } catch (error) {
        errors.push(String(error));
        await page.screenshot({path: path.join(out, `ohif-${file}-failed.png`)});
    }
    await page.close();
    return seen;
}

// On a busy machine a double click is taken for two clicks, or comes at a moment that the viewer does not
// expect, and nothing of the series is ever drawn: the study is opened anew, with more time each time.
async function openSeries(context, job, name) {
    for (let wait = Math.min(30000, patience), spent = 0; ; spent += wait, wait *= 2) {
        const seen = await trySeries(context, job, name, wait);
        if (seen.opened || spent + wait >= patience)
            return seen;
        console.error(`${name}: opened anew: ${seen.errors.join('; ')}`);
    }
}

async function main() {
    const browser = await require(playwright).chromium.launch({executablePath: chromium, args: flags});
    try {
        // One for all pages: they share what the browser has fetched and compiled of the viewer.
        const context = await browser.newContext({viewport: {width: 1280, height: 800}});
        const seen = [];
        for (const argument of studies) {
            const [study, out, names] = argument.split('=');
            const wanted = names.split(','), series = [];
            for (const name of wanted)
                series.push(await openSeries(context, {study, out, wanted}, name));
            seen.push({study, sets: series[0].sets, series});
        }
        console.log(JSON.stringify(seen));
    } finally {
        await browser.close();
    }
}

main().catch(error => { console.error(error); process.exit(1); });
