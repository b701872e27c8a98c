//! The function that chooses among the kernels written for one purpose.

/// Makes a function of a [`Level`](super::Level) and the arguments stated, which runs the best kernel that the level allows. Given are
/// the plain function and those written for an instruction set. Where there is none for a set, the one for the next lower set is
/// compiled for it, in the end the plain one, which for NEON is no loss: NEON is part of aarch64, and the compiler uses it. With
/// `up to avx2`, the code for AVX2 runs under AVX-512 too: some plain code on bytes came out slower when compiled for AVX-512.
macro_rules! dispatch {
    (@function ($($arg:ident: $ty:ty),*) $up_to_avx2:literal, [$portable:path],
     [$avx2:path $(, $_avx2:path)*], [$avx512:path $(, $_avx512:path)*], [$neon:path $(, $_neon:path)*]) => {{
        #[inline]
        #[allow(unsafe_code)]
        fn dispatched(level: $crate::scan::simd::Level, $($arg: $ty),*) {
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            use $crate::scan::simd::{Level, features::features_of};
            #[cfg(target_arch = "x86_64")]
            {
                features_of!(avx2, compiled! {
                    fn avx2($($arg: $ty),*) {
                        $avx2($($arg),*)
                    }
                });
                features_of!(avx512_vnni, compiled! {
                    fn avx512($($arg: $ty),*) {
                        $avx512($($arg),*)
                    }
                });
                match level {
                    Level::Portable(_) => {}
                    // SAFETY: the token of AVX-512 proves all features of AVX2 and more.
                    Level::Avx512(_) => return unsafe { avx2($($arg),*) },
                    Level::Avx512Vnni(..) if $up_to_avx2 => return unsafe { avx2($($arg),*) },
                    // SAFETY: the tokens prove every feature that the function is compiled for.
                    Level::Avx2(_) => return unsafe { avx2($($arg),*) },
                    Level::Avx512Vnni(..) => return unsafe { avx512($($arg),*) },
                }
            }
            #[cfg(target_arch = "aarch64")]
            {
                features_of!(neon, compiled! {
                    fn neon($($arg: $ty),*) {
                        $neon($($arg),*)
                    }
                });
                if let Level::Neon(_) = level {
                    // SAFETY: the token proves every feature that the function is compiled for.
                    return unsafe { neon($($arg),*) };
                }
            }
            let _ = level;
            $portable($($arg),*)
        }
        dispatched
    }};
    ($args:tt $portable:path, up to avx2) => {
        $crate::scan::simd::dispatch::dispatch!(@function $args true, [$portable], [$portable], [$portable], [$portable])
    };
    ($args:tt $portable:path $(, avx2 = $avx2:path)? $(, avx512 = $avx512:path)? $(, neon = $neon:path)?) => {
        $crate::scan::simd::dispatch::dispatch!(
            @function $args false, [$portable], [$($avx2,)? $portable], [$($avx512,)? $($avx2,)? $portable], [$($neon,)? $portable]
        )
    };
}
pub(in crate::scan) use dispatch;
