//! The door to instruction sets for block quants: the only `unsafe` of these kernels.
//!
//! Every kernel exists as plain code; under [`SimdLevel::Avx2`] and [`SimdLevel::Avx512`] it is either the same code compiled for
//! that instruction set or one written for it. All of them give the same integers, and the floating-point steps are the same
//! expressions in the same order without fused operations, so that the figures are the same on every level.

#![allow(unsafe_code)]

use std::sync::OnceLock;

use super::kernel::block_quant::fold::{self, Fold, Layout};
use super::kernel::block_quant::sums::{Affine, Flat, Products};
use super::kernel::block_quant::{portable, portable_iq};

/// An instruction set that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// What every CPU of the target has.
    Portable,
    /// AVX2, BMI1, BMI2, POPCNT, F16C.
    Avx2,
    /// The former, AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
}

impl SimdLevel {
    /// The best level of this CPU; looked up once.
    pub fn detected() -> Self {
        static LEVEL: OnceLock<SimdLevel> = OnceLock::new();
        *LEVEL.get_or_init(detect)
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> SimdLevel {
    macro_rules! has { ($($feature:tt)*) => { true $(&& std::arch::is_x86_feature_detected!($feature))* } }
    if !has!("avx2" "bmi1" "bmi2" "popcnt" "lzcnt" "f16c") {
        SimdLevel::Portable
    } else if !has!("avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni") {
        SimdLevel::Avx2
    } else {
        SimdLevel::Avx512
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> SimdLevel {
    SimdLevel::Portable
}

/// Makes `name(level, ...)` out of the plain function and, in braces, what stands for it on each level.
macro_rules! doors {
    ($($name:ident ($($arg:ident: $ty:ty),*): $portable:path, $avx2:path, $avx512:path;)*) => {$(
        #[doc = concat!("`", stringify!($portable), "` on the level asked for, or on the best this CPU has if that is less.")]
        #[inline]
        pub(super) fn $name(level: SimdLevel, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt,f16c")]
                fn avx2($($arg: $ty),*) {
                    $avx2($($arg),*)
                }
                #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
                fn avx512($($arg: $ty),*) {
                    $avx512($($arg),*)
                }
                match level.min(SimdLevel::detected()) {
                    SimdLevel::Portable => {}
                    // SAFETY: `detected` found every feature that the function enables; that is all that calling it asks for.
                    SimdLevel::Avx2 => return unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    SimdLevel::Avx512 => return unsafe { avx512($($arg),*) },
                }
            }
            let _ = level;
            $portable($($arg),*)
        }
    )*};
}

doors! {
    q4_0(bytes: &[u8], batch: &mut Products): portable::q4_0, portable::q4_0, portable::q4_0;
    q5_0(bytes: &[u8], batch: &mut Products): portable::q5_0, portable::q5_0, portable::q5_0;
    q8_0(bytes: &[u8], batch: &mut Products): portable::q8_0, portable::q8_0, portable::q8_0;
    q8_1(bytes: &[u8], batch: &mut Products): portable::q8_1, portable::q8_1, portable::q8_1;
    q8_k(bytes: &[u8], batch: &mut Products): portable::q8_k, portable::q8_k, portable::q8_k;
    iq4_nl(bytes: &[u8], batch: &mut Products): portable::iq4_nl, portable::iq4_nl, portable::iq4_nl;
    mxfp4(bytes: &[u8], batch: &mut Products): portable::mxfp4, portable::mxfp4, portable::mxfp4;
    nvfp4(bytes: &[u8], batch: &mut Products): portable::nvfp4, portable::nvfp4, portable::nvfp4;
    q3_k(bytes: &[u8], batch: &mut Products): portable::q3_k, portable::q3_k, portable::q3_k;
    q6_k(bytes: &[u8], batch: &mut Products): portable::q6_k, portable::q6_k, portable::q6_k;
    iq4_xs(bytes: &[u8], batch: &mut Products): portable::iq4_xs, portable::iq4_xs, portable::iq4_xs;
    tq1_0(bytes: &[u8], batch: &mut Products): portable::tq1_0, portable::tq1_0, portable::tq1_0;
    tq2_0(bytes: &[u8], batch: &mut Products): portable::tq2_0, portable::tq2_0, portable::tq2_0;
    q1_0(bytes: &[u8], batch: &mut Products): portable::q1_0, portable::q1_0, portable::q1_0;
    q2_0(bytes: &[u8], batch: &mut Products): portable::q2_0, portable::q2_0, portable::q2_0;
    iq2_xxs(bytes: &[u8], batch: &mut Products): portable_iq::iq2_xxs, portable_iq::iq2_xxs, portable_iq::iq2_xxs;
    iq2_xs(bytes: &[u8], batch: &mut Products): portable_iq::iq2_xs, portable_iq::iq2_xs, portable_iq::iq2_xs;
    iq2_s(bytes: &[u8], batch: &mut Products): portable_iq::iq2_s, portable_iq::iq2_s, portable_iq::iq2_s;
    iq3_xxs(bytes: &[u8], batch: &mut Products): portable_iq::iq3_xxs, portable_iq::iq3_xxs, portable_iq::iq3_xxs;
    iq3_s(bytes: &[u8], batch: &mut Products): portable_iq::iq3_s, portable_iq::iq3_s, portable_iq::iq3_s;
    iq1_s(bytes: &[u8], batch: &mut Products): portable_iq::iq1_s, portable_iq::iq1_s, portable_iq::iq1_s;
    iq1_m(bytes: &[u8], batch: &mut Products): portable_iq::iq1_m, portable_iq::iq1_m, portable_iq::iq1_m;
    q4_1(bytes: &[u8], batch: &mut Flat): portable::q4_1, portable::q4_1, portable::q4_1;
    q5_1(bytes: &[u8], batch: &mut Flat): portable::q5_1, portable::q5_1, portable::q5_1;
    q2_k(bytes: &[u8], batch: &mut Affine): portable::q2_k, portable::q2_k, portable::q2_k;
    q4_k(bytes: &[u8], batch: &mut Affine): portable::q4_k, portable::q4_k, portable::q4_k;
    q5_k(bytes: &[u8], batch: &mut Affine): portable::q5_k, portable::q5_k, portable::q5_k;
    products(layout: &Layout, bytes: &[u8], batch: &mut Products, fold: &mut Fold): fold::products, fold::products, fold::products;
    flat(layout: &Layout, bytes: &[u8], batch: &mut Flat, most: f32, fold: &mut Fold): fold::flat, fold::flat, fold::flat;
    affine8(layout: &Layout, bytes: &[u8], batch: &mut Affine, most: f32, fold: &mut Fold): fold::affine::<8>, fold::affine::<8>, fold::affine::<8>;
    affine16(layout: &Layout, bytes: &[u8], batch: &mut Affine, most: f32, fold: &mut Fold): fold::affine::<16>, fold::affine::<16>, fold::affine::<16>;
}
