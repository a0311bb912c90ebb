"""The C functions that kernels of parameters by channel call: which lane has which channel, and sums over channels."""

from __future__ import annotations

# A lane of a strip has the channel ``which``; after ``period`` elements channels recur.
_CHANNELS = """
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
// Rows are joined until they fill strips; in a long one the lanes that its last strip lacks weigh little.
static int64_t period_of(int64_t row) {
  int64_t rows = 1;
  while (row < 8 * LANES && row * rows % LANES) rows *= 2;
  return row * rows;
}
static int others(const int64_t* which, int64_t first, int64_t channels, int64_t inner) {
  const int64_t c = first / inner % channels;
  return first % inner + LANES > inner || which[0] != c || which[LANES - 1] != c;
}
static void look(int64_t* which, int64_t first, int64_t channels, int64_t inner) {
  int64_t c = first / inner % channels, at = first % inner;
  for (int l = 0; l < LANES; l++) {
    which[l] = c;
    if (++at == inner) { at = 0; if (++c == channels) c = 0; }
  }
}"""
# Their sums, lane by lane: for float32 four strips at a time, as in the prelude.
_SPREAD = """
static __attribute__((noinline)) void join(real e[][LANES], double s[][LANES], double c[][LANES], int n) {
  for (int j = 0; j < n; j++) for (int l = 0; l < LANES; l++) ADD(s[j][l], c[j][l], {sum})
}
static __attribute__((noinline)) void spread(double s[][LANES], double c[][LANES], int n, const int64_t* which,
  double* sums, double* rests, int64_t channels) {
  for (int j = 0; j < n; j++) for (int l = 0; l < LANES; l++) {
    const int64_t i = j * channels + which[l];
    ADD(sums[i], rests[i], s[j][l]) ADD(sums[i], rests[i], -c[j][l])
    s[j][l] = c[j][l] = 0;
  }
}"""


def channel_helpers(double: bool) -> str:
    """Return what kernels of parameters by channel call; it uses what the prelude has for sums."""
    return _CHANNELS + _SPREAD.replace("{sum}", "e[j][l]" if double else "four(&e[j][l], n * LANES)")
