"""What stands beside every number: values come in, intervals, nulls and p-values go out.

- `intervals`: 95 % intervals of means (Student), shares (Wilson), ratios of sums over clusters
- `resampling`: the bootstrap, over rows, families and clusters
- `permutation`: labels and orders exchanged, with the smallest p that so few can give
- `shifting`: the null of a set of neighbours, pushed along the text
- `exact`: exact tests of pairs of right and wrong, alone and in clusters
- `correlation`: Pearson, Spearman and Kendall with intervals, permutation p and the number of models needed
- `autoregression` (`autoregression_kernels`, `student_tails`): lines under autocorrelated noise, a million at a time
- `discovery`: false discovery over many tests (Benjamini–Hochberg)
"""
