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
    const tour = page.getByText('Skip all');
    await tour.waitFor({timeout: 5000}).then(() => tour.click(), () => {});
    return {page, errors, said};
}

// The viewport's pixels: how many have colour, how many are not black.
async function pixels(page, file) {
    const viewport = page.locator('.viewport-element, .cornerstone-viewport-element').first();
    const box = await ((await viewport.count()) ? viewport : page.locator('#root')).boundingBox();
    await page.screenshot({path: file, clip: box});
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
        await thumbnail.dblclick();
        // The series is in the viewport once its grid says so and a canvas is drawn.
        await page.waitForFunction(
            uid => Array.from(window.services.viewportGridService.getState().viewports.values())
                .some(v => (v.displaySetInstanceUIDs || []).includes(uid)), set.uid, {timeout: patience});
        const drawn = modality === 'SR'
            ? 'document.querySelectorAll("svg.svg-layer text").length > 0'
            : 'document.querySelectorAll("canvas").length > 0';
        await page.waitForFunction(drawn, null, {timeout: patience}).catch(e => errors.push(String(e)));
        await page.waitForLoadState('networkidle');
        await page.waitForFunction('!document.body.innerText.includes("Loading...")', null,
                                   {timeout: patience}).catch(e => errors.push(String(e)));
        Object.assign(seen, {set}, await page.evaluate(shown));
    } catch (error) {
        errors.push(String(error));
    }
    seen.screenshot = path.join(out, `ohif-${modality.toLowerCase()}.png`);
    seen.viewport = path.join(out, `ohif-${modality.toLowerCase()}-viewport.png`);
    await page.screenshot({path: seen.screenshot});
    await pixels(page, seen.viewport);
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
