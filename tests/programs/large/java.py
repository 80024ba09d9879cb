# SPDX-License-Identifier: MIT
"""Java: the compiler, and a program with threads, direct buffers and compression (which use malloc)."""
import harness

PROGRAM = """
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

public class Work {
    static long one(int seed) throws Exception {
        Random dice = new Random(seed);
        Map<String, List<Integer>> map = new TreeMap<>();
        for (int i = 0; i < 20000; i++)
            map.computeIfAbsent("key" + dice.nextInt(3000), key -> new ArrayList<>()).add(i);
        byte[] text = map.toString().getBytes("UTF-8");
        Deflater deflater = new Deflater(seed % 9 + 1);
        deflater.setInput(text);
        deflater.finish();
        byte[] packed = new byte[text.length + 100];
        int length = deflater.deflate(packed);
        deflater.end();
        Inflater inflater = new Inflater();
        inflater.setInput(packed, 0, length);
        byte[] again = new byte[text.length];
        if (inflater.inflate(again) != text.length || !Arrays.equals(text, again))
            throw new Error("what was packed is not what came out");
        inflater.end();
        ByteBuffer buffer = ByteBuffer.allocateDirect(1 + dice.nextInt(1 << 20));
        while (buffer.remaining() >= 4)
            buffer.putInt(dice.nextInt());
        buffer.flip();
        CRC32 sum = new CRC32();
        sum.update(text);
        sum.update(buffer);
        return sum.getValue();
    }

    public static void main(String[] arguments) throws Exception {
        System.in.read();
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<Long>> results = new ArrayList<>();
        for (int i = 0; i < 120; i++) {
            int seed = i;
            results.add(pool.submit(() -> one(seed)));
        }
        long sum = 0;
        for (Future<Long> result : results)
            sum = sum * 31 + result.get();
        pool.shutdown();
        for (int i = 0; i < 300; i++) {
            Thread thread = new Thread(() -> new Deflater().end());
            thread.start();
            thread.join();
        }
        System.out.println(sum);
    }
}
"""


def workload(run):
    javac = harness.need("javac", package="default-jdk-headless")
    java = harness.need("java", package="default-jdk-headless")
    run.write("Work.java", PROGRAM)
    run.cmd([javac, "-J-Xmx512m", "Work.java"])
    run.cmd([java, "-Xmx512m", "Work"], stdin="x", hold="java")
    run.cmd([java, "-Xmx512m", "-XX:+UseSerialGC", "-Xint", "-version"], compare=False)


harness.main(workload, ["java"])
