package mme;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.Map;

/**
 * The memory of processes: shared pages in proportion (Pss), without those of files, which the kernel
 * can take back. So memory.py counts, too.
 */
final class Memory {

    /** Reading one process takes about a millisecond: readers within this time share a reading. */
    private static final long FRESH_NANOS = 5_000_000_000L;

    private static Memory last;

    private final long taken = System.nanoTime();
    private final Map<Long, Long> bytes = new HashMap<>();

    private Memory() {
        String server = System.getenv("MME_SERVER_PID");
        ProcessHandle top =
                (server == null ? null : ProcessHandle.of(Long.parseLong(server)).orElse(null));
        if (top == null) {
            top = ProcessHandle.current();
        }
        read(top.pid());
        top.descendants().forEach(one -> read(one.pid()));
    }

    static synchronized Memory now() {
        if (last == null || System.nanoTime() - last.taken > FRESH_NANOS) {
            last = new Memory();
        }
        return last;
    }

    /** Of all processes of the server. */
    long used() {
        return bytes.values().stream().mapToLong(Long::longValue).sum();
    }

    /** Of one process, also of one that has come since; 0 where it is gone. */
    synchronized long of(long pid) {
        Long found = bytes.get(pid);
        return found == null ? read(pid) : found;
    }

    private long read(long pid) {
        long size = 0;
        Path file = Paths.get("/proc", Long.toString(pid), "smaps_rollup");
        try {
            for (String line : Files.readAllLines(file, StandardCharsets.ISO_8859_1)) {
                if (line.startsWith("Pss_Anon:") || line.startsWith("Pss_Shmem:")) {
                    size += Long.parseLong(line.split("\\s+")[1]) * 1024;
                }
            }
            bytes.put(pid, size);
        } catch (IOException e) {
            return 0; // it has ended
        }
        return size;
    }
}
