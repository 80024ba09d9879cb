# SPDX-License-Identifier: MIT
"""WebAssembly in node: every memory reserves 8 GiB of addresses or more; the program goes on allocating beside them."""
import harness

PROGRAM = """
const fs = require('fs'), zlib = require('zlib'), crypto = require('crypto');
// (module (memory (import "e" "m") 1 65536) (func (export "f") (param i32) (result i32)
//   local.get 0 local.get 0 i32.const 7 i32.mul i32.store local.get 0 i32.load))
const code = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 2, 11, 1, 1, 101, 1, 109, 2, 1,
    1, 128, 128, 4, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 19, 1, 17, 0, 32, 0, 32, 0, 65, 7, 108, 54, 2, 0, 32, 0, 40,
    2, 0, 11]);
const module_ = new WebAssembly.Module(code);
const memories = [], held = [], hash = crypto.createHash('sha256');
let sum = 0;
for (let i = 0; i < 100; i++) {
    const memory = new WebAssembly.Memory({initial: 1, maximum: 65536});
    const instance = new WebAssembly.Instance(module_, {e: {m: memory}});
    sum += instance.exports.f(i * 4);
    memory.grow(3);
    memories.push(memory);
    const block = Buffer.alloc(1000000 + i * 1000, i);
    held.push(block);
    hash.update(zlib.deflateSync(block));
}
for (const block of held) hash.update(block);
console.log(sum, memories.length, memories[99].buffer.byteLength, hash.digest('hex'));
fs.writeFileSync('maps', fs.readFileSync('/proc/self/maps'));
"""


def workload(run):
    run.write("work.js", PROGRAM)
    run.cmd([harness.need("node", package="nodejs"), "work.js"])
    with open(run.path("maps"), encoding="utf-8") as maps:
        run.saw(maps.read(), "node")


harness.main(workload, ["node"])
