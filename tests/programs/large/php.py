# SPDX-License-Identifier: MIT
"""PHP without extensions: its own allocator over ours, and without it (USE_ZEND_ALLOC=0), where every value is a
malloc."""
import harness

PROGRAM = r"""<?php
fgets(STDIN);
mt_srand(7);
$table = [];
for ($i = 0; $i < 60000; $i++) {
    $key = 'k' . mt_rand(0, 9000);
    $table[$key][] = str_repeat(chr(97 + $i % 26), mt_rand(0, 200));
    if ($i % 7 == 0) unset($table['k' . mt_rand(0, 9000)]);
}
ksort($table);
$text = serialize($table);
echo strlen($text), ' ', md5($text), "\n";
$again = unserialize($text);
echo $again == $table ? "same\n" : "different\n";
echo md5(preg_replace_callback('/([a-z])\1{5,}/', fn($m) => strtoupper($m[1]) . strlen($m[0]), $text)), "\n";
echo md5(json_encode(array_map('count', $table))), "\n";
function tree($depth) { return $depth ? [tree($depth - 1), new ArrayObject([$depth]), tree($depth - 1)] : null; }
for ($i = 0; $i < 5; $i++) { $tree = tree(12); $tree[0][3] = &$tree; }
unset($tree);
echo gc_collect_cycles() > 0 ? "collected\n" : "nothing\n";
$big = str_repeat('x', 50 << 20);
for ($i = 0; $i < 100; $i++) $big[$i << 18] = 'y';
echo md5($big), "\n";
usort($again, fn($a, $b) => count($a) <=> count($b) ?: strcmp(implode($a), implode($b)));
echo md5(implode('', array_map('implode', $again))), "\n";
"""


def workload(run):
    php = harness.need("php", package="php-cli")
    run.write("work.php", PROGRAM)
    for allocator in ("1", "0"):
        run.cmd([php, "-n", "-d", "memory_limit=-1", "work.php"], stdin="x\n", hold="php",
                env={"USE_ZEND_ALLOC": allocator})


harness.main(workload, ["php"])
