package mme;

import com.amazonaws.ml.mms.util.messages.BaseModelRequest;
import com.amazonaws.ml.mms.util.messages.ModelInferenceRequest;
import com.amazonaws.ml.mms.util.messages.ModelWorkerResponse;
import com.amazonaws.ml.mms.util.messages.RequestInput;
import com.amazonaws.ml.mms.wlm.BatchAggregator;
import com.amazonaws.ml.mms.wlm.Job;
import com.amazonaws.ml.mms.wlm.Model;
import com.amazonaws.ml.mms.wlm.WorkerState;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Map;

/**
 * The calls of a dead worker. One that MMS sends to it after its death goes back to the front of the
 * line, for its successor; MMS itself would answer "Worker died.". The successor has the same object,
 * and begins with a state in which it has yet to load: from then on all is as it was.
 *
 * <p>MMS's thread may go on to the next call at any moment. Hence each call is taken by its id, and
 * none is touched that was not asked for; MMS's own sendError drops what it did not expect.
 */
final class PutBack extends BatchAggregator {

    private final Model model;
    private final BatchAggregator calls;
    private final Map<String, Job> jobs;
    private volatile boolean dead = true;

    @SuppressWarnings("unchecked")
    PutBack(Model model, BatchAggregator calls) throws IOException {
        super(model);
        this.model = model;
        this.calls = calls instanceof PutBack ? ((PutBack) calls).calls : calls;
        this.jobs = (Map<String, Job>) Private.get(this.calls, "jobs");
    }

    /** Answer the calls of one request, unless they have been answered. */
    void answer(BaseModelRequest request, String reason, HttpResponseStatus status) {
        if (request instanceof ModelInferenceRequest) {
            for (RequestInput input : ((ModelInferenceRequest) request).getRequestBatch()) {
                Job job = jobs.remove(input.getRequestId());
                if (job != null) {
                    job.sendError(status, reason);
                }
            }
        }
    }

    /** Put all calls back to the front of the line; where it is full, answer them. */
    void putBack(String reason, HttpResponseStatus status) {
        for (String id : new ArrayList<>(jobs.keySet())) {
            Job job = jobs.remove(id);
            if (job == null) {
                continue;
            }
            try {
                model.addFirst(job);
            } catch (IllegalStateException e) {
                job.sendError(status, reason);
            }
        }
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
        if (dead) {
            putBack(error, status);
        } else {
            calls.sendError(message, error, status);
        }
    }
}
