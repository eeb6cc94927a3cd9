package mme;

import com.amazonaws.ml.mms.util.messages.BaseModelRequest;
import com.amazonaws.ml.mms.util.messages.ModelWorkerResponse;
import com.amazonaws.ml.mms.wlm.BatchAggregator;
import com.amazonaws.ml.mms.wlm.Model;
import com.amazonaws.ml.mms.wlm.WorkerState;
import io.netty.handler.codec.http.HttpResponseStatus;

/**
 * A worker's calls, where a call that MMS sends to it after its death goes back to the front of the
 * line, for its successor; MMS itself would answer "Worker died.". The successor has the same one,
 * and begins with a state in which it has yet to load: from then on all is as it was.
 */
final class PutBack extends BatchAggregator {

    private final BatchAggregator calls;
    private volatile boolean dead = true;

    private PutBack(Model model, BatchAggregator calls) {
        super(model);
        this.calls = calls;
    }

    /** What takes the place of {@code calls}, whose worker is dead. */
    static BatchAggregator of(Model model, BatchAggregator calls) {
        return new PutBack(model, calls instanceof PutBack ? ((PutBack) calls).calls : calls);
    }

    @Override
    public BaseModelRequest getRequest(String threadName, WorkerState state)
            throws InterruptedException {
        if (state != WorkerState.WORKER_MODEL_LOADED) {
            dead = false;
        }
        return calls.getRequest(threadName, state);
    }

    @Override
    public void sendResponse(ModelWorkerResponse message) {
        calls.sendResponse(message);
    }

    @Override
    public void sendError(BaseModelRequest message, String error, HttpResponseStatus status) {
        calls.sendError(dead ? null : message, error, status); // without a message: puts it back
    }
}
