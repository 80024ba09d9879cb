// SPDX-License-Identifier: MIT
// Objects and buffers in the main thread and in four workers, with zlib and crypto in libuv's threads.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const fs = require('fs');
const zlib = require('zlib');

function work(seed) {
    const map = new Map();
    const hash = crypto.createHash('sha256');
    for (let i = 0; i < 60000; i++) {
        seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
        const key = 'n'.repeat(seed % 30) + (seed % 2003);
        map.set(key, (map.get(key) || '') + String.fromCharCode(97 + (i % 26)));
        if (i % 20 === 0) hash.update(Buffer.alloc(seed % 9000, i));
    }
    const packed = zlib.deflateSync(JSON.stringify([...map.entries()].sort()));
    return hash.update(zlib.inflateSync(packed)).digest('hex') + ' ' + packed.length;
}

if (isMainThread) {
    fs.writeFileSync('maps', fs.readFileSync('/proc/self/maps'));
    console.log(work(1));
    const start = (n) => new Promise((resolve, reject) => {
        new Worker(__filename, { workerData: n }).on('message', resolve).on('error', reject);
    });
    const squeeze = (n) => new Promise((resolve, reject) => {
        zlib.gzip(Buffer.alloc(300000, `text ${n} `), (error, out) => error ? reject(error) : resolve(out.length));
    });
    const derive = (n) => new Promise((resolve, reject) => {
        crypto.pbkdf2(`secret ${n}`, 'salt', 500, 64, 'sha512', (error, key) =>
            error ? reject(error) : resolve(key.toString('hex')));
    });
    (async () => {
        for (const round of [0, 1, 2]) {
            const numbers = [2, 3, 4, 5].map((n) => n + round * 10);
            console.log(await Promise.all(numbers.map(start)));
            console.log(await Promise.all(numbers.map(squeeze)), await Promise.all(numbers.map(derive)));
        }
    })();
} else {
    parentPort.postMessage(work(workerData));
}
