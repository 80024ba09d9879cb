# SPDX-License-Identifier: MIT
"""Go with cgo: goroutines allocate blocks in C, hand them to others, which check and free them on other threads."""
import harness
import os

PROGRAM = """
package main

/*
#include <stdlib.h>
#include <string.h>
static void fill(char *block, size_t size, int value) { memset(block, value, size); }
static int sum(const char *block, size_t size) {
    int all = 0;
    for (size_t i = 0; i < size; i++) all += block[i];
    return all;
}
*/
import "C"

import (
    "bufio"
    "fmt"
    "os"
    "runtime"
    "sync"
    "unsafe"
)

type block struct {
    at   unsafe.Pointer
    size int
}

func produce(seed, count int, out chan<- block, done *sync.WaitGroup) {
    defer done.Done()
    state := uint32(seed + 1)
    for i := 0; i < count; i++ {
        state = state*1664525 + 1013904223
        size := int(state>>8)%5000 + 1
        if i%500 == 0 {
            size *= 60
            runtime.LockOSThread() // and never unlocked when the goroutine ends: its thread ends, too
        }
        at := C.malloc(C.size_t(size))
        C.fill((*C.char)(at), C.size_t(size), C.int(size%100))
        out <- block{at, size}
    }
}

func consume(in <-chan block, sums chan<- int) {
    total := 0
    for each := range in {
        got := int(C.sum((*C.char)(each.at), C.size_t(each.size)))
        if got != each.size*(each.size%100) {
            fmt.Println("wrong block", each.size, got)
            os.Exit(1)
        }
        total += got
        if each.size%3 == 0 {
            each.at = C.realloc(each.at, C.size_t(each.size*2))
        }
        C.free(each.at)
    }
    sums <- total
}

func main() {
    bufio.NewReader(os.Stdin).ReadString('\\n')
    grand := 0
    for round := 0; round < 4; round++ {
        blocks, sums := make(chan block, 1000), make(chan int)
        var producers sync.WaitGroup
        for i := 0; i < 16; i++ {
            producers.Add(1)
            go produce(round*100+i, 4000, blocks, &producers)
        }
        for i := 0; i < 8; i++ {
            go consume(blocks, sums)
        }
        producers.Wait()
        close(blocks)
        for i := 0; i < 8; i++ {
            grand += <-sums
        }
        name := C.CString("a string of C")
        grand += len(C.GoString(name))
        C.free(unsafe.Pointer(name))
    }
    fmt.Println(grand)
}
"""


def workload(run):
    go = harness.need("go", package="golang-go")
    harness.need("gcc", package="gcc")
    run.write("work.go", PROGRAM)
    cache = os.path.join(os.path.dirname(run.dir), "go-cache")  # of both runs: it compiles Go's own packages first
    run.cmd([go, "build", "-o", "gowork", "work.go"], compare=False, timeout=400,
            env={"GOCACHE": cache, "GOPATH": run.path("go"), "CGO_ENABLED": "1", "GOFLAGS": "-buildvcs=false",
                 "GO111MODULE": "off"})
    run.cmd(["./gowork"], stdin="x\n", hold="gowork")
    run.cmd(["./gowork"], stdin="x\n", env={"GOMAXPROCS": "16"})


harness.main(workload, ["gowork"])
