package mme;

import com.amazonaws.ml.mms.http.BadRequestException;
import com.amazonaws.ml.mms.util.ConfigManager;
import com.amazonaws.ml.mms.util.NettyUtils;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.netty.handler.codec.http.QueryStringEncoder;
import io.netty.util.CharsetUtil;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Refuses what SageMaker never sends, before MMS does anything about it.
 *
 * <p>By itself, MMS fetches what {@code url} names over HTTP, unpacks what is a file, takes any folder
 * of the machine, and has a caller, or a manifest in the model's folder, choose the Python and the
 * code that serve it. Here a model is a folder below one folder, and is served by the container.
 *
 * <p>MMS is handed a request that is written anew from what was checked, so that nothing depends on
 * how it would have read the caller's.
 *
 * <p>As all answers pass here, too, it is also where {@link Counters} are told of them.
 */
final class Guard extends ChannelDuplexHandler {

    private static final Logger LOGGER = LoggerFactory.getLogger(Guard.class);

    /** Names of MMS's that would choose what code runs. */
    private static final List<String> CODE = List.of("handler", "runtime", "preload_model");

    /** Letters and signs without a meaning in paths; SageMaker's names are hexadecimal. */
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,255}");

    /** The numbers that MMS takes, with the highest that makes sense. */
    private static final Map<String, Integer> LOAD_NUMBERS =
            Map.of(
                    "initial_workers", 64,
                    "batch_size", 1024,
                    "max_batch_delay", 3_600_000,
                    "response_timeout", 86_400);

    private static final Map<String, Integer> SCALE_NUMBERS =
            Map.of("min_worker", 64, "max_worker", 64);

    /**
     * What forms are called from here on (payload.py). MMS would take their bodies apart, and fail
     * with 500 at those that are none: curl and Python's urllib call any bytes a form by default.
     */
    private static final String FORM = "application/x-mme-form";

    /** What a Host header says of a server on the loopback: an address, or the name for it. */
    private static final Pattern LOCAL =
            Pattern.compile(
                    "(localhost|[0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[[0-9a-f:.]+\\])(:[0-9]+)?",
                    Pattern.CASE_INSENSITIVE);

    private final Path models;
    private final boolean local;

    /** Requests of this connection that have no answer yet, in their order. */
    private final Deque<Counted> unanswered = new ArrayDeque<>();

    /**
     * Models may be loaded from below {@code models}, which need not exist yet. A server that is
     * {@code local}, at a port of the loopback, answers to no other name than that: a web page may
     * have one of its own lead there (DNS rebinding).
     */
    Guard(Path models, boolean local) {
        this.models = models;
        this.local = local;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        FullHttpRequest request = (FullHttpRequest) message;
        FullHttpRequest checked;
        Counted counted = new Counted(request);
        unanswered.add(counted);
        try {
            checked = check(request);
            counted.name(checked);
        } catch (Refused refused) {
            NettyUtils.requestReceived(context.channel(), request);
            LOGGER.warn(
                    "{} {} was refused: {}",
                    request.method(),
                    new QueryStringDecoder(request.uri()).path(),
                    refused.getMessage());
            NettyUtils.sendError(
                    context, refused.status, new BadRequestException(refused.getMessage()));
            ReferenceCountUtil.release(message);
            return;
        }
        if (checked != request) {
            ReferenceCountUtil.release(message);
        }
        context.fireChannelRead(checked);
    }

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise)
            throws Exception {
        if (message instanceof FullHttpResponse) {
            Counted request = unanswered.poll();
            try {
                if (request != null) {
                    request.answered((FullHttpResponse) message);
                }
            } catch (RuntimeException e) {
                LOGGER.error("An answer was not counted", e); // it is given all the same
            }
        }
        super.write(context, message, promise);
    }

    private FullHttpRequest check(FullHttpRequest request) {
        if (!request.decoderResult().isSuccess()) {
            return request; // MMS answers it with 400
        }
        if (request.headers().contains("Origin")
                || !"none".equals(request.headers().get("Sec-Fetch-Site", "none"))) {
            throw new Refused(
                    HttpResponseStatus.FORBIDDEN, "This server takes no requests of web pages.");
        }
        if (local && !LOCAL.matcher(request.headers().get("Host", "localhost")).matches()) {
            throw new Refused(
                    HttpResponseStatus.FORBIDDEN, "This server does not answer to that Host.");
        }
        List<String> accepts = request.headers().getAll(HttpHeaderNames.ACCEPT);
        if (accepts.size() > 1) { // one list in several lines; MMS would hand on the last one alone
            request.headers().set(HttpHeaderNames.ACCEPT, String.join(", ", accepts));
        }
        if (isForm(request)) {
            request.headers().set(HttpHeaderNames.CONTENT_TYPE, FORM);
        }
        QueryStringDecoder address;
        String[] parts;
        try {
            address = new QueryStringDecoder(request.uri());
            parts = address.path().split("/"); // as MMS does (HttpRequestHandler)
        } catch (IllegalArgumentException e) {
            throw new Refused("The address of the request cannot be read.");
        }
        if (parts.length < 2 || !"models".equals(parts[1])) {
            return request;
        }
        if (parts.length == 2 && request.method().equals(HttpMethod.POST)) {
            return load(request, address);
        }
        if (parts.length > 2 && request.method().equals(HttpMethod.PUT)) {
            return scale(request, address);
        }
        return request;
    }

    private static boolean isForm(FullHttpRequest request) {
        String type = request.headers().get(HttpHeaderNames.CONTENT_TYPE, "");
        String start = type.trim().toLowerCase(Locale.ROOT); // MMS looks at how it begins, too
        return start.startsWith("multipart/form-data")
                || start.startsWith("application/x-www-form-urlencoded");
    }

    private FullHttpRequest load(FullHttpRequest request, QueryStringDecoder address) {
        Map<String, String> given =
                HttpHeaderValues.APPLICATION_JSON.contentEqualsIgnoreCase(
                                HttpUtil.getMimeType(request))
                        ? ofJson(request.content().toString(CharsetUtil.UTF_8))
                        : ofQuery(address);
        for (String name : CODE) {
            if (given.containsKey(name)) {
                throw new Refused(
                        name + " is not taken: the container itself serves every model, and an"
                                + " archive is data.");
            }
        }
        String name = given.get("model_name");
        if (name == null || !NAME.matcher(name).matches()) {
            throw new Refused(
                    "model_name must be given, and have at most 256 letters, digits, dots,"
                            + " underscores and hyphens.");
        }
        QueryStringEncoder query = new QueryStringEncoder("/models");
        query.addParam("model_name", name);
        query.addParam("url", folder(given.get("url")));
        // Else those of a manifest in the model's folder would count.
        query.addParam("runtime", "python");
        query.addParam("handler", ConfigManager.getInstance().getMmsDefaultServiceHandler());
        return rewritten(request, query, given, LOAD_NUMBERS);
    }

    private FullHttpRequest scale(FullHttpRequest request, QueryStringDecoder address) {
        QueryStringEncoder query = new QueryStringEncoder(address.rawPath());
        return rewritten(request, query, ofQuery(address), SCALE_NUMBERS);
    }

    private static FullHttpRequest rewritten(
            FullHttpRequest request,
            QueryStringEncoder query,
            Map<String, String> given,
            Map<String, Integer> numbers) {
        numbers.forEach(
                (name, most) -> {
                    if (given.containsKey(name)) {
                        query.addParam(name, number(name, given.get(name), most));
                    }
                });
        if (given.containsKey("synchronous")) {
            query.addParam(
                    "synchronous", "true".equalsIgnoreCase(given.get("synchronous")) + "");
        }
        FullHttpRequest rewritten =
                new DefaultFullHttpRequest(
                        request.protocolVersion(),
                        request.method(),
                        query.toString(),
                        Unpooled.EMPTY_BUFFER);
        rewritten
                .headers()
                .set(request.headers())
                .remove(HttpHeaderNames.CONTENT_TYPE)
                .set(HttpHeaderNames.CONTENT_LENGTH, 0);
        return rewritten;
    }

    private static String number(String name, String text, int most) {
        try {
            int number = Integer.parseInt(text);
            if (number >= 0 && number <= most) {
                return String.valueOf(number);
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw new Refused(name + " must be a whole number from 0 to " + most + ".");
    }

    /** The {@code url} as it was given, where it is the path of a folder below {@link #models}. */
    private String folder(String url) {
        if (url == null) {
            throw new Refused("Parameter url is required.");
        }
        Path path;
        try {
            path = Paths.get(url);
        } catch (InvalidPathException e) {
            throw new Refused(onlyFolders());
        }
        String plain = url.endsWith("/") ? url.substring(0, url.length() - 1) : url;
        if (!path.isAbsolute()
                || !path.normalize().toString().equals(plain)
                || !path.startsWith(models)
                || path.equals(models)) {
            throw new Refused(onlyFolders());
        }
        try {
            Path real = path.toRealPath();
            if (!real.startsWith(models.toRealPath())) {
                throw new Refused("url leads out of " + models + " by a symbolic link.");
            }
            if (!Files.isDirectory(real, LinkOption.NOFOLLOW_LINKS)) {
                throw new Refused(onlyFolders());
            }
        } catch (NoSuchFileException e) {
            throw new Refused(HttpResponseStatus.NOT_FOUND, "There is no folder " + path + ".");
        } catch (IOException e) {
            throw new Refused("url cannot be read: " + e.getMessage() + ".");
        }
        return url;
    }

    private String onlyFolders() {
        return "url must be the path of a folder below " + models + ".";
    }

    private static Map<String, String> ofQuery(QueryStringDecoder address) {
        Map<String, String> found = new HashMap<>();
        try {
            address.parameters()
                    .forEach(
                            (name, values) -> {
                                if (values.size() > 1) {
                                    throw new Refused(name + " is given twice.");
                                }
                                found.put(name, values.get(0));
                            });
        } catch (Refused e) {
            throw e;
        } catch (IllegalArgumentException e) {
            throw new Refused("The address of the request cannot be read.");
        }
        return found;
    }

    private static Map<String, String> ofJson(String text) {
        JsonObject object;
        try {
            JsonElement element = JsonParser.parseString(text);
            object = element.isJsonObject() ? element.getAsJsonObject() : null;
        } catch (JsonParseException | StackOverflowError e) {
            object = null;
        }
        if (object == null) {
            throw new Refused("The body must be a JSON object.");
        }
        Map<String, String> found = new HashMap<>();
        object.entrySet()
                .forEach(
                        entry -> {
                            if (entry.getValue().isJsonPrimitive()) {
                                found.put(entry.getKey(), entry.getValue().getAsString());
                            } else if (!entry.getValue().isJsonNull()) {
                                throw new Refused(
                                        "The body must hold names with texts and numbers alone.");
                            }
                        });
        return found;
    }

    /** Answered with the sentence and a status that says whose fault it is. */
    private static final class Refused extends RuntimeException {

        private static final long serialVersionUID = 1L;

        private final transient HttpResponseStatus status;

        Refused(HttpResponseStatus status, String sentence) {
            super(sentence);
            this.status = status;
        }

        Refused(String sentence) {
            this(HttpResponseStatus.BAD_REQUEST, sentence);
        }
    }

    /** What counts of a request once it is answered. */
    private static final class Counted {

        private enum Kind {
            CALL,
            LOAD,
            UNLOAD,
            OTHER
        }

        private final long began = System.nanoTime();
        private final HttpMethod method;
        private final String target;
        private Kind kind = Kind.OTHER;
        private String model;

        Counted(FullHttpRequest request) {
            method = request.method();
            target = request.headers().get("X-Amzn-SageMaker-Target-Model");
        }

        /** Note what a request asks for that was let through. */
        void name(FullHttpRequest request) {
            if (!request.decoderResult().isSuccess()) {
                return;
            }
            QueryStringDecoder address = new QueryStringDecoder(request.uri());
            String[] parts = address.path().split("/");
            if (parts.length == 4 && "models".equals(parts[1]) && "invoke".equals(parts[3])) {
                kind = Kind.CALL;
                model = parts[2];
            } else if (parts.length == 2 && "models".equals(parts[1])) {
                kind = HttpMethod.POST.equals(method) ? Kind.LOAD : Kind.OTHER;
                model = NettyUtils.getParameter(address, "model_name", "");
            } else if (parts.length == 3 && "models".equals(parts[1])) {
                kind = HttpMethod.DELETE.equals(method) ? Kind.UNLOAD : Kind.OTHER;
                model = parts[2];
            }
        }

        void answered(FullHttpResponse answer) {
            double seconds = (System.nanoTime() - began) / 1e9;
            int status = answer.status().code();
            switch (kind) {
                case CALL:
                    Counters.ALL.called(model, target, answer, seconds);
                    break;
                case LOAD:
                    Counters.ALL.loadAnswered(model, status, seconds);
                    break;
                case UNLOAD:
                    if (status == 200) {
                        Counters.ALL.unloaded(model);
                    }
                    break;
                default:
                    break;
            }
        }
    }
}
