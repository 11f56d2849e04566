//! Migrations are embedded at compile time: a new file among them must rebuild.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
