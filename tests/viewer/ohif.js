// Opens one study in OHIF in a headless Chromium, each wanted series in a page of its own, and
// writes what it saw as JSON to stdout, screenshots to the folder OUT.
// usage: node ohif.js PLAYWRIGHT CHROMIUM URL STUDY OUT SECONDS MODALITY...
'use strict';
const path = require('path');
const [playwright, chromium, url, study, out, seconds, ...modalities] = process.argv.slice(2);
const patience = Number(seconds) * 1000;

const flags = ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader',
               '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];

// Display sets as the viewer's own service lists them.
function displaySets() {
    const service = window.services && window.services.displaySetService;
    return service ? service.getActiveDisplaySets().map(set => ({
        uid: set.displaySetInstanceUID, modality: set.Modality, description: set.SeriesDescription,
        unsupported: Boolean(set.unsupported), images: (set.images || set.instances || []).length,
        series: set.SeriesInstanceUID,
    })) : [];
}

// What the viewports show now: texts and shapes of annotations, and words that mean trouble.
function shown() {
    const all = selector => Array.from(document.querySelectorAll(selector));
    const body = document.body.innerText;
    return {
        texts: all('svg.svg-layer text').map(t => Array.from(t.querySelectorAll('tspan'))
            .map(s => s.textContent).join('\n') || t.textContent),
        shapes: all('svg.svg-layer path, svg.svg-layer polyline, svg.svg-layer line').length,
        canvases: all('.viewport-element canvas, .cornerstone-canvas').length,
        trouble: ['Something went wrong', 'Loading...'].filter(word => body.includes(word)),
    };
}

async function openStudy(browser) {
    const page = await browser.newPage({viewport: {width: 1600, height: 1000}});
    page.setDefaultTimeout(patience);
    const errors = [], said = [];
    page.on('pageerror', error => errors.push(String(error)));
    page.on('console', message => said.push(`${message.type()}: ${message.text()}`));
    await page.goto(`${url}/viewer?StudyInstanceUIDs=${study}`, {waitUntil: 'domcontentloaded'});
    await page.waitForSelector('[data-cy^="study-browser-thumbnail"]');
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
// few bright pixels, and text over it when that is asked for.
function drawn({series, text}) {
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
    let bright = 0;
    for (let i = 0; i < data.length; i += 4)
        bright += Math.max(data[i], data[i + 1], data[i + 2]) > 60;
    return bright > width * height / 100;
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
async function walk(page, uid) {
    const count = await page.evaluate(
        id => window.services.displaySetService.getDisplaySetByUID(id).measurements.length, uid);
    const steps = [];
    let longest = 500;
    for (let step = 0; step < count; step++) {
        await page.waitForFunction(drawn, {series: '', text: true}, {timeout: patience});
        const screenshot = path.join(out, `ohif-sr-measurement-${step + 1}.png`);
        await page.screenshot({path: screenshot});
        steps.push({...await page.evaluate(shown), screenshot});
        const before = await page.evaluate(state);
        const start = Date.now();
        await page.locator('[data-cy="viewport-action-arrows-right"] svg').first().click();
        await page.waitForFunction(`(${state})() !== ${JSON.stringify(before)}`, null, {timeout: 10 * longest})
            .then(() => { longest = Math.max(longest, Date.now() - start); }, () => {});
    }
    return steps;
}

// A double click opens a series, unless the machine is so busy that it is taken for two clicks: it is
// repeated, with more time each time, until the series is drawn.
async function openThumbnail(page, thumbnail, wanted) {
    for (let wait = Math.min(15000, patience), spent = 0; ; spent += wait, wait *= 2) {
        await thumbnail.dblclick();
        try {
            return await page.waitForFunction(drawn, wanted, {timeout: wait});
        } catch (error) {
            if (spent + wait >= patience)
                throw error;
        }
    }
}

async function openSeries(browser, modality) {
    const {page, errors, said} = await openStudy(browser);
    const seen = {modality, errors, said};
    try {
        await page.waitForFunction(
            `(${displaySets})().some(set => set.modality === '${modality}')`, null, {timeout: patience});
        const set = (await page.evaluate(displaySets)).find(one => one.modality === modality);
        const thumbnail = page.locator(`[id="thumbnail-${set.uid}"]`);
        await thumbnail.scrollIntoViewIfNeeded();
        const report = modality === 'SR';
        await openThumbnail(page, thumbnail, {series: report ? '' : set.series, text: report});
        Object.assign(seen, {set}, await page.evaluate(shown));
        seen.screenshot = path.join(out, `ohif-${modality.toLowerCase()}.png`);
        seen.viewport = path.join(out, `ohif-${modality.toLowerCase()}-viewport.png`);
        await page.screenshot({path: seen.screenshot});
        await pixels(page, seen.viewport);
        seen.steps = report ? await walk(page, set.uid) : [];
    } catch (error) {
        errors.push(String(error));
        await page.screenshot({path: path.join(out, `ohif-${modality.toLowerCase()}-failed.png`)});
    }
    await page.close();
    return seen;
}

async function main() {
    const browser = await require(playwright).chromium.launch({executablePath: chromium, args: flags});
    try {
        const {page} = await openStudy(browser);
        await page.waitForFunction(`(${displaySets})().length >= ${modalities.length}`, null,
                                   {timeout: patience}).catch(() => {});
        const sets = await page.evaluate(displaySets);
        await page.close();
        const series = [];
        for (const modality of modalities)
            series.push(await openSeries(browser, modality));
        console.log(JSON.stringify({sets, series}));
    } finally {
        await browser.close();
    }
}

main().catch(error => { console.error(error); process.exit(1); });
