package mme;

import java.util.Arrays;

/** How many values lie below each of some bounds, and their sum, as Prometheus counts. */
final class Histogram {

    private final double[] bounds;

    /** By bucket alone, not cumulative; the last one is of what lies above all bounds. */
    private final long[] counts;

    private double sum;

    /** {@code bounds} are upper ones, inclusive, in ascending order. */
    Histogram(double... bounds) {
        this.bounds = bounds;
        counts = new long[bounds.length + 1];
    }

    void add(double value) {
        int at = Arrays.binarySearch(bounds, value);
        counts[at >= 0 ? at : -at - 1]++;
        sum += value;
    }

    void add(Histogram other) {
        for (int i = 0; i < counts.length; i++) {
            counts[i] += other.counts[i];
        }
        sum += other.sum;
    }

    boolean isEmpty() {
        return Arrays.stream(counts).sum() == 0;
    }

    /** Write its samples; {@code labels} are those of each, without the braces. */
    void write(Page page, String name, String labels) {
        long below = 0;
        String before = labels.isEmpty() ? "le=\"" : labels + ",le=\"";
        for (int i = 0; i < counts.length; i++) {
            below += counts[i];
            String bound = i < bounds.length ? Page.number(bounds[i]) : "+Inf";
            page.sample(name + "_bucket", before + bound + '"', below);
        }
        page.sample(name + "_sum", labels, sum);
        page.sample(name + "_count", labels, below);
    }
}
