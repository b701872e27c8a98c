//! The features of each instruction set: one list for detecting them and for compiling for them.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

/// Passes the features of an instruction set to a macro, before the rest of what it is given. A token proves them, and its functions
/// are compiled for them: one list serves both.
macro_rules! features_of {
    (avx2, $then:ident! $rest:tt) => {
        $crate::scan::simd::features::$then! { ["avx2" "bmi1" "bmi2" "popcnt" "lzcnt" "f16c"] $rest }
    };
    (avx512, $then:ident! $rest:tt) => {
        $crate::scan::simd::features::$then! {
            ["avx2" "bmi1" "bmi2" "popcnt" "lzcnt" "f16c" "avx512f" "avx512bw" "avx512dq" "avx512vl"] $rest
        }
    };
    (avx512_vnni, $then:ident! $rest:tt) => {
        $crate::scan::simd::features::$then! {
            ["avx2" "bmi1" "bmi2" "popcnt" "lzcnt" "f16c" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni"] $rest
        }
    };
    (neon, $then:ident! $rest:tt) => {
        $crate::scan::simd::features::$then! { ["neon"] $rest }
    };
}
pub(in crate::scan) use features_of;

/// Whether the processor has the features.
#[cfg(target_arch = "x86_64")]
macro_rules! detected {
    ([$($feature:tt)*] ()) => { true $(&& std::arch::is_x86_feature_detected!($feature))* };
}
/// Whether the processor has the features.
#[cfg(target_arch = "aarch64")]
macro_rules! detected {
    ([$($feature:tt)*] ()) => { true $(&& std::arch::is_aarch64_feature_detected!($feature))* };
}
pub(in crate::scan) use detected;

/// Compiles a function for the features.
macro_rules! compiled {
    ([$($feature:tt)*] {$($function:tt)*}) => { $(#[target_feature(enable = $feature)])* $($function)* };
}
pub(in crate::scan) use compiled;
