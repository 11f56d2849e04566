//! Compiles kernels by NVRTC, NVIDIA's compiler in a library, and keeps what came of it.
//!
//! NVRTC is needed for a program's first use on a kind of GPU alone: machine code is kept,
//! by the sum of all that it was made of, with its own sum behind it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::ptr;

use libloading::Library;
use sha2::{Digest as _, Sha256};

use super::GpuError;
use super::library::{functions, reason};
use super::program::Program;

/// Bytes of a sum.
const SUM_BYTES: usize = 32;

/// Options for every program. A function that does not say where it runs runs on the GPU.
const OPTIONS: [&str; 2] = ["--std=c++17", "-default-device"];

/// The oldest major version that knows C++17 and all that the kernels use.
const OLDEST_MAJOR: u32 = 12;

/// What NVRTC is called, and where installers put it.
const PLACES: [&str; 3] = ["", "/usr/local/cuda/lib64", "/opt/cuda/lib64"];

functions! {
    /// NVRTC's functions, as `nvrtc.h` declares them.
    Functions, NvrtcError:
    nvrtcVersion(major: *mut c_int, minor: *mut c_int);
    nvrtcGetNumSupportedArchs(count: *mut c_int);
    nvrtcGetSupportedArchs(architectures: *mut c_int);
    nvrtcCreateProgram(
        program: *mut *mut c_void,
        source: *const c_char,
        name: *const c_char,
        num_headers: c_int,
        headers: *const *const c_char,
        include_names: *const *const c_char,
    );
    nvrtcDestroyProgram(program: *mut *mut c_void);
    nvrtcCompileProgram(
        program: *mut c_void,
        num_options: c_int,
        options: *const *const c_char,
    );
    nvrtcGetProgramLogSize(program: *mut c_void, size: *mut usize);
    nvrtcGetProgramLog(program: *mut c_void, log: *mut c_char);
    nvrtcGetCUBINSize(program: *mut c_void, size: *mut usize);
    nvrtcGetCUBIN(program: *mut c_void, cubin: *mut c_char);
    nvrtcGetPTXSize(program: *mut c_void, size: *mut usize);
    nvrtcGetPTX(program: *mut c_void, ptx: *mut c_char);
}

/// Compiles programs, once each.
#[derive(Debug)]
pub(super) struct Compiler {
    library: PathBuf,
    cache_dir: PathBuf,
}

/// A compute capability: 80 is 8.0.
pub(super) type Architecture = u32;

impl Compiler {
    /// With the NVRTC at the path `library`, or that the system finds by such a bare name;
    /// what it makes is kept below `cache_dir`.
    pub(super) fn new(library: &Path, cache_dir: &Path) -> Self {
        Self { library: library.into(), cache_dir: cache_dir.join("cuda") }
    }

    /// What was made of a program before, if it is whole.
    pub(super) fn kept(&self, program: &Program, architecture: Architecture) -> Option<Vec<u8>> {
        let mut image = fs::read(self.place(program, architecture)).ok()?;
        let sum = image.split_off(image.len().checked_sub(SUM_BYTES)?);
        (Sha256::digest(&image)[..] == sum).then_some(image)
    }

    /// Compiles a program to what the driver loads.
    ///
    /// # Errors
    /// [`GpuError::Unavailable`] without NVRTC, [`GpuError::Compile`] with its log.
    pub(super) fn compile(
        &self,
        program: &Program,
        architecture: Architecture,
    ) -> Result<Vec<u8>, GpuError> {
        let compiled = Nvrtc::open(&self.library)?.compile(program, architecture)?;
        let image = match compiled {
            // Not kept: a newer NVRTC may know the GPU, and the driver keeps what it makes.
            Compiled::Ptx(image) => return Ok(image),
            Compiled::Cubin(image) => image,
        };
        let place = self.place(program, architecture);
        if let Err(error) = self.keep(&image, &place) {
            let path = place.display();
            tracing::warn!(%error, %path, "the compiled kernels cannot be kept");
        }
        Ok(image)
    }

    fn keep(&self, image: &[u8], place: &Path) -> std::io::Result<()> {
        fs::create_dir_all(&self.cache_dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.cache_dir)?;
        file.write_all(image)?;
        // Behind it, where tools that read cubins do not mind.
        file.write_all(&Sha256::digest(image))?;
        file.persist(place)?;
        Ok(())
    }

    fn place(&self, program: &Program, architecture: Architecture) -> PathBuf {
        let mut sum = Sha256::new_with_prefix(architecture.to_le_bytes());
        for text in options(program).iter().chain([&program.source]) {
            sum.update(text);
            // No text has one.
            sum.update([0]);
        }
        self.cache_dir.join(format!("{:x}.cubin", sum.finalize()))
    }
}

/// The NVRTC that the system has, by the name or path to load it by, if it makes what a
/// driver of that major version of CUDA takes.
pub(crate) fn system_nvrtc(driver_major: u32) -> Option<PathBuf> {
    let majors = (OLDEST_MAJOR..=driver_major).rev();
    let mut libraries = majors.flat_map(|major| {
        PLACES.map(|place| Path::new(place).join(format!("libnvrtc.so.{major}")))
    });
    libraries.find(|library| Nvrtc::open(library).is_ok())
}

/// What the driver can load.
enum Compiled {
    /// Machine code.
    Cubin(Vec<u8>),
    /// Text, of which the driver makes machine code; ends with a zero.
    Ptx(Vec<u8>),
}

/// NVRTC, loaded.
struct Nvrtc {
    functions: Functions,
}

impl Nvrtc {
    fn open(path: &Path) -> Result<Self, GpuError> {
        let missing = |why: String| {
            let path = path.display();
            GpuError::Unavailable(format!("NVRTC cannot be loaded from {path}: {why}"))
        };
        // SAFETY: what it does when it is loaded is its business.
        let library = unsafe { Library::new(path) }.map_err(|error| missing(reason(&error)))?;
        // SAFETY: the types are those of `nvrtc.h`; the library is never closed.
        let functions =
            unsafe { Functions::find(&library) }.map_err(|error| missing(reason(&error)))?;
        // It may have told the system to call it at the program's end.
        std::mem::forget(library);
        let (mut major, mut minor) = (0, 0);
        // SAFETY: it writes two numbers.
        unsafe { functions.nvrtcVersion(&mut major, &mut minor) }
            .map_err(|error| missing(error.to_string()))?;
        if major.unsigned_abs() < OLDEST_MAJOR {
            let words = format!("it is version {major}.{minor}, and 12.0 is needed");
            return Err(missing(words));
        }
        // It opens this by its bare name, which finds what is loaded already.
        let builtins = path.with_file_name(format!("libnvrtc-builtins.so.{major}.{minor}"));
        let is_bare = path.parent() == Some(Path::new(""));
        if !is_bare && builtins.is_file() {
            // SAFETY: as above.
            let builtins =
                unsafe { Library::new(&builtins) }.map_err(|error| missing(reason(&error)))?;
            std::mem::forget(builtins);
        }
        Ok(Self { functions })
    }

    fn compile(&self, program: &Program, architecture: Architecture) -> Result<Compiled, GpuError> {
        let known = self.architectures()?;
        let is_known = known.contains(&architecture);
        let target = match known.iter().filter(|&&known| known <= architecture).max() {
            Some(known) if is_known => format!("sm_{known}"),
            // What runs on the one before it runs on it too, once the driver has compiled it.
            Some(before) => format!("compute_{before}"),
            None => {
                let words = format!("NVRTC knows only {known:?}, not {architecture}");
                return Err(GpuError::Compile(words));
            }
        };
        let mut options = options(program);
        options.push(format!("--gpu-architecture={target}"));
        let options: Vec<CString> = options.into_iter().map(c_string).collect::<Result<_, _>>()?;
        let unit = Unit::new(&self.functions, &c_string(program.source.as_str())?)?;
        let compiled = unit.compile(&options);
        let log = unit.log()?;
        if let Err(error) = compiled {
            return Err(GpuError::Compile(format!("{error}\n{log}")));
        }
        if !log.is_empty() {
            tracing::debug!(%log, "NVRTC has remarks on the kernels");
        }
        Ok(match is_known {
            true => Compiled::Cubin(unit.cubin()?),
            false => Compiled::Ptx(unit.ptx()?),
        })
    }

    /// The architectures that it makes machine code for.
    fn architectures(&self) -> Result<Vec<Architecture>, NvrtcError> {
        let mut count = 0;
        // SAFETY: it writes one number.
        unsafe { self.functions.nvrtcGetNumSupportedArchs(&mut count) }?;
        let mut known: Vec<c_int> = vec![0; count.unsigned_abs() as usize];
        // SAFETY: it writes so many.
        unsafe { self.functions.nvrtcGetSupportedArchs(known.as_mut_ptr()) }?;
        Ok(known.into_iter().map(c_int::unsigned_abs).collect())
    }
}

/// A program inside NVRTC.
struct Unit<'a> {
    nvrtc: &'a Functions,
    handle: *mut c_void,
}

impl<'a> Unit<'a> {
    fn new(nvrtc: &'a Functions, source: &CStr) -> Result<Self, NvrtcError> {
        let name = c"dramatis.cu";
        let mut handle = ptr::null_mut();
        // SAFETY: both texts end with a zero and are copied; there are no headers.
        unsafe {
            nvrtc.nvrtcCreateProgram(
                &mut handle,
                source.as_ptr(),
                name.as_ptr(),
                0,
                ptr::null(),
                ptr::null(),
            )
        }?;
        Ok(Self { nvrtc, handle })
    }

    fn compile(&self, options: &[CString]) -> Result<(), NvrtcError> {
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: so many texts, each ending with a zero, live until it returns.
        unsafe {
            self.nvrtc.nvrtcCompileProgram(self.handle, options.len() as c_int, options.as_ptr())
        }
    }

    fn log(&self) -> Result<String, NvrtcError> {
        let mut size = 0;
        // SAFETY: it writes one number.
        unsafe { self.nvrtc.nvrtcGetProgramLogSize(self.handle, &mut size) }?;
        let mut log = vec![0_u8; size];
        // SAFETY: it writes so many bytes.
        unsafe { self.nvrtc.nvrtcGetProgramLog(self.handle, log.as_mut_ptr().cast()) }?;
        let log = CStr::from_bytes_until_nul(&log).unwrap_or_default();
        Ok(log.to_string_lossy().trim().to_owned())
    }

    fn cubin(&self) -> Result<Vec<u8>, NvrtcError> {
        let mut size = 0;
        // SAFETY: it writes one number.
        unsafe { self.nvrtc.nvrtcGetCUBINSize(self.handle, &mut size) }?;
        let mut cubin = vec![0_u8; size];
        // SAFETY: it writes so many bytes.
        unsafe { self.nvrtc.nvrtcGetCUBIN(self.handle, cubin.as_mut_ptr().cast()) }?;
        Ok(cubin)
    }

    fn ptx(&self) -> Result<Vec<u8>, NvrtcError> {
        let mut size = 0;
        // SAFETY: it writes one number.
        unsafe { self.nvrtc.nvrtcGetPTXSize(self.handle, &mut size) }?;
        let mut ptx = vec![0_u8; size];
        // SAFETY: it writes so many bytes.
        unsafe { self.nvrtc.nvrtcGetPTX(self.handle, ptx.as_mut_ptr().cast()) }?;
        Ok(ptx)
    }
}

impl Drop for Unit<'_> {
    fn drop(&mut self) {
        // SAFETY: the program is ours and is not used again.
        let _ = unsafe { self.nvrtc.nvrtcDestroyProgram(&mut self.handle) };
    }
}

impl fmt::Display for NvrtcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: error {}", self.call, self.code)
    }
}

impl From<NvrtcError> for GpuError {
    fn from(error: NvrtcError) -> Self {
        Self::Compile(error.to_string())
    }
}

/// The options that a program is compiled with, but for the architecture.
fn options(program: &Program) -> Vec<String> {
    let defines = program.defines.iter();
    let defines = defines.map(|(name, value)| format!("--define-macro={name}={value}"));
    OPTIONS.into_iter().map(str::to_owned).chain(defines).collect()
}

fn c_string(text: impl Into<Vec<u8>>) -> Result<CString, GpuError> {
    CString::new(text).map_err(|_| GpuError::Compile("there is a zero byte in a text".into()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const ARCHITECTURE: Architecture = 90;

    /// The directory of an NVRTC to test with; the system's library path has one otherwise.
    /// Read when the tests are compiled.
    const DIR: Option<&str> = option_env!("NVRTC_DIR");

    /// Where NVRTC is, if anywhere.
    pub(in crate::gpu) fn library() -> Option<PathBuf> {
        let libraries = match DIR {
            Some(dir) => [12, 13].map(|m| Path::new(dir).join(format!("libnvrtc.so.{m}"))).into(),
            None => system_nvrtc(13).into_iter().collect::<Vec<_>>(),
        };
        let found = libraries.into_iter().find(|library| Nvrtc::open(library).is_ok());
        if found.is_none() {
            skipped("no NVRTC; NVRTC_DIR may name its directory");
        }
        found
    }

    pub(in crate::gpu) fn skipped(why: &str) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    }

    fn program(body: &str) -> Program {
        let source = format!(
            "struct Scale {{ float* values; unsigned num_values; }};\n\
             float scaled(float value) {{ return value * FACTOR; }}\n\
             extern \"C\" __global__ void scale(Scale p) {{\n\
             unsigned i = blockIdx.x * blockDim.x + threadIdx.x;\n{body}\n}}\n"
        );
        let defines = vec![("FACTOR", "2.5f".to_owned())];
        Program { source, defines, kernels: vec!["scale".into()] }
    }

    fn good() -> Program {
        program("if (i < p.num_values) p.values[i] = scaled(p.values[i]);")
    }

    #[test]
    fn a_program_is_compiled_once() {
        let Some(library) = library() else { return };
        let dir = tempfile::tempdir().unwrap();
        let compiler = Compiler::new(&library, dir.path());
        assert_eq!(compiler.kept(&good(), ARCHITECTURE), None);
        let cubin = compiler.compile(&good(), ARCHITECTURE).unwrap();
        assert!(cubin.starts_with(b"\x7fELF"));
        // Without NVRTC now.
        let compiler = Compiler::new(Path::new("/nowhere/libnvrtc.so"), dir.path());
        assert_eq!(compiler.kept(&good(), ARCHITECTURE), Some(cubin));
        assert_eq!(compiler.kept(&good(), 80), None);
        assert_eq!(compiler.kept(&program("p.values[i] = 0;"), ARCHITECTURE), None);
        let mut other = good();
        other.defines[0].1 = "2.0f".into();
        assert_eq!(compiler.kept(&other, ARCHITECTURE), None);
        assert!(matches!(compiler.compile(&other, ARCHITECTURE), Err(GpuError::Unavailable(_))));
    }

    #[test]
    fn the_compilers_own_words_are_told() {
        let Some(library) = library() else { return };
        let dir = tempfile::tempdir().unwrap();
        let compiler = Compiler::new(&library, dir.path());
        let broken = program("p.values[i] = nonsense;");
        let error = compiler.compile(&broken, ARCHITECTURE).unwrap_err();
        let GpuError::Compile(words) = error else { panic!("{error}") };
        assert!(words.contains("dramatis.cu(5)") && words.contains("nonsense"), "{words}");
        assert_eq!(compiler.kept(&broken, ARCHITECTURE), None);
    }

    #[test]
    fn a_gpu_that_nvrtc_does_not_know_gets_text() {
        let Some(library) = library() else { return };
        let dir = tempfile::tempdir().unwrap();
        let compiler = Compiler::new(&library, dir.path());
        let ptx = compiler.compile(&good(), 999).unwrap();
        assert_eq!(ptx.last(), Some(&0));
        assert!(String::from_utf8(ptx).unwrap().contains(".visible .entry scale("));
        assert_eq!(compiler.kept(&good(), 999), None);
        assert!(matches!(compiler.compile(&good(), 10), Err(GpuError::Compile(_))));
    }

    #[test]
    fn what_was_damaged_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let compiler = Compiler::new(Path::new("/nowhere/libnvrtc.so"), dir.path());
        let place = compiler.place(&good(), ARCHITECTURE);
        compiler.keep(b"machine code", &place).unwrap();
        assert_eq!(compiler.kept(&good(), ARCHITECTURE).unwrap(), b"machine code");
        let whole = fs::read(&place).unwrap();
        for length in 0..whole.len() {
            fs::write(&place, &whole[..length]).unwrap();
            assert_eq!(compiler.kept(&good(), ARCHITECTURE), None, "{length}");
        }
        let mut changed = whole;
        changed[3] ^= 1;
        fs::write(&place, changed).unwrap();
        assert_eq!(compiler.kept(&good(), ARCHITECTURE), None);
    }
}
