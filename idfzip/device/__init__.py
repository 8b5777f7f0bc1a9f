"""Codecs on torch's devices: the same files as by `codecs`, byte for byte.

A layer beside `codecs`, of which it takes the models and with whose kernels it is compared. Nothing
here is imported until a device is asked for: torch takes seconds to load.

*Exactness.* Nothing is fused where it rounds. The flagship's tiles are coded by kernels of our own
(`fused`, in Triton), elsewhere, and where Triton is missing, by torch's operators: both count whole
numbers, which any order of adding leaves alike, products of layers, convolutions too (`conv`); the
expert's systems and the step of learning are in singles, predictions and slopes in doubles, each
operation rounded once. Square roots of singles are taken in doubles by the operators, since torch's
own of singles are not rounded correctly on processors. Before a model is used its self-test must
give the stored sums on the device, and a small tile the processor's bytes (`check`).

*Codecs.* The flagship's, the bipartite, the lossy, the lossy-first and the progressive one
(`flagship`, `idf`, `vqvae`, `lossy_first`, `lattice`) have the same functions (`engine`). Those of
categories stay on the processor: they go from pixel to pixel, and learn before they go on.

*Lanes.* A lane is a tile, or a block of an archive: what has one stream, and weights of its own
where the network learns (`lane`). The flagship's lanes advance together (`schedule`), step by step,
as a CUDA graph without a word to the host (`graph`): by kernels both ways (`wavefront`, `waves`),
by operators when decoding (`decoding`). Encoding by operators takes all pixels at once; only the
sums of the window run along rows and columns, and learning from period to period (`encoding`).
Kernels push the symbols, too, of all streams of a batch at once, so that only words come to the
host (`pusher`); by operators, and of other codecs, the host's threads do so while the device codes
the next batch (`worker`).
Progressive tiles go piece by piece, each with three networks that follow it, one a phase
(`pieces`); of these only kernels are written.

*CUDA.* What is captured allocates, reads and waits for nothing on the host: `torch.where` makes its
scalars on the device, and sums, searches and indices take tensors only. Whole numbers of 64 bits
are added and multiplied one by one: CUDA has no matrix products of them. A worker has a stream of
its own (`stream`).

Tries, counted without a GPU (`scripts/kernel_counts.py`, but for the operators). Launches in a step
of decoding by `photo`: 1,307 of operators, 17 of fused kernels; for what is learned at the end of a
period 131 and 3, and 1 where it is not learned from. Of `progressive` 15 and 3, in the 2,111
steps of a tile of 256 x 1024. With search and coder in operators, too, 38 more for each pixel of a
group and channel, one after the other, 29,184 in a tile of 256 rows: they serve where there is no
Triton.

A program that takes symbols goes through a tile's up to 256 of a step and channel one after the
other; with the 32 states of a long stream (`coding.turns`) through 8 rounds, of a piece of a
progressive tile through 4 instead of 128. Instructions of a round of eight states, of each of four
warps, as compiled for compute capability 9.0: at first 642, in 64 bits throughout; 406 with
products, places and frequencies of 32 bits; 358 with values and rises of the sigmoid in one load
and places cut off by their upper word; 277 where another kernel has found, for all rows at once,
the frequencies that the search begins with. A stream of one state took 551 of four warps for a
symbol, then 201 of one. A program that pushes takes about a hundred of one warp for a round of up
to 32 states.

Tries, measured on an H100: one photograph of 4000 x 6000, 96 tiles of 256 x 1024, by `photo`. Sums
of kernels in milliseconds when decoding, and megapixels a second of encoding and of decoding.

=====================================================================  ====  ====  ====
as it was counted, without a GPU                                        960   8.6  12.8
systems (268) unrolled in registers, not in memory                       28
taking symbols (150): 32 states for 8, the next round asked for ahead    55
windows (152) by time, side by side, terms multiplied out again         133
layers (95) in one launch of 32 rows for three                           58
heads (86) of 32 rows for 16                                             56
learning (97) in two launches for 21                                     64
inputs (54) of skewed planes, unrolled: four warps                       70
all of these; words pushed there, tiles finished by threads             510  35.1  33.7
windows (133) of 4 terms for 16                                          85
inputs (70) of one warp                                                  35
heads (56) with one product of 16 columns for three, 64 rows             46
halves for TF32: no change
four steps in one launch; learning (64) is launched after each           76
all of these, too                                                       425  40.2  38.3
=====================================================================  ====  ====  ====

Systems and sums in one program would spare a write and a read of the sums, and take a compiler a
minute: Triton's pass that orders loads takes a quarter of a second for each of a program of 5,000
operations, so those of the systems come in blocks.

The same on H200s, where that took 382 milliseconds of kernels, and went with 45 and 42 MP/s. Speeds
are those of a run, beside those without the change on the same machine: hosts differ by a tenth.

=====================================================================  ====  ====  ====
wide batches wait for no more, words go there once, graphs when used    382  48.2  46.0
of these, two batches at once of half the lanes, each on a stream            43.3  43.3
the same, four batches of a quarter                                          37.8  37.7
kernels that begin while the one before ends (of 46.1, 46.6)                 44.4  44.9
operands in halves in memory, too: the trunk (48)                        34
the same: heads (45)                                                     40
learning (73) beside the search for the next pixels                      76
all of these but two and four batches, and early kernels                372  49.8  47.5
8 steps in one launch (of 45.2, 45.1)                                        44.8  45.6
16 steps in one launch                                                       43.5  43.9
=====================================================================  ====  ====  ====

Two batches gain nothing, since kernels of 12,288 pixels fill the device: decoding takes 0.51
seconds with 24,576 pixels a step, 0.31 with 8,192, 0.25 with 2,048, in as many steps.
"""
