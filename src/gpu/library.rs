//! Functions of a C library that is there, or not, when the program runs.

use std::error::Error as _;

/// Why a library, or a function of it, was not found, in the system's own words.
pub(super) fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Declares a table of a library's functions, with a method for each: those return 0, or the
/// code of an error, which becomes the table's own kind of error.
macro_rules! functions {
    (
        $(#[$about:meta])*
        $table:ident, $error:ident:
        $($function:ident($($parameter:ident: $type:ty),* $(,)?);)*
    ) => {
        $(#[$about])*
        #[allow(non_snake_case, reason = "the names are the library's")]
        pub(super) struct $table {
            $($function: unsafe extern "C" fn($($type),*) -> u32,)*
        }

        /// A call that failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) struct $error {
            pub(super) call: &'static str,
            pub(super) code: u32,
        }

        #[allow(non_snake_case, clippy::too_many_arguments, reason = "they are the library's")]
        impl $table {
            /// Finds all of them.
            ///
            /// # Safety
            /// The library's functions have these types, and it is never closed.
            unsafe fn find(library: &libloading::Library) -> Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: promised by the caller.
                    $($function: unsafe { *library.get(stringify!($function).as_bytes())? },)*
                })
            }

            $(
                /// # Safety
                /// As the library's own description says.
                pub(super) unsafe fn $function(
                    &self,
                    $($parameter: $type),*
                ) -> Result<(), $error> {
                    // SAFETY: promised by the caller.
                    match unsafe { (self.$function)($($parameter),*) } {
                        0 => Ok(()),
                        code => Err($error { call: stringify!($function), code }),
                    }
                }
            )*
        }
    };
}

pub(super) use functions;
