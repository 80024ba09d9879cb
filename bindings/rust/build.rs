// SPDX-License-Identifier: MIT
//
// Where libhakmem is: LIBHAKMEM_DIR (a build folder of hakmem will do), else where the linker looks by itself. With
// LIBHAKMEM_STATIC set libhakmem.a becomes a part of the program.
use std::env;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBHAKMEM_DIR");
    println!("cargo:rerun-if-env-changed=LIBHAKMEM_STATIC");
    if let Some(dir) = env::var_os("LIBHAKMEM_DIR") {
        println!("cargo:rustc-link-search=native={}", dir.to_string_lossy());
    }
    if env::var_os("LIBHAKMEM_STATIC").is_some() {
        println!("cargo:rustc-link-lib=static=hakmem");
    } else {
        println!("cargo:rustc-link-lib=dylib=hakmem");
    }
}
