//! The `dramatis` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    dramatis::cli::run(std::env::args_os())
}
